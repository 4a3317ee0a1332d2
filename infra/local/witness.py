"""MiniStack with a witness: what its IAM decides is written down, and on request all that it holds.

`python witness.py FOLDER`, by the Python that MiniStack is installed for. Each decision about a call is a
line of FOLDER/decisions.jsonl. On SIGUSR1 every text, number and bytes in the memory of its services is a
line of FOLDER/memory.jsonl: where it was found, and its bytes in base64.
"""

from __future__ import annotations

import base64
import json
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

_PACKAGE: Final = "ministack"
_SERVICES: Final = f"{_PACKAGE}.services."
_DEEPEST: Final = 40
#: Functions' code and layers: large, and built here.
_ARCHIVE: Final = b"PK\x03\x04"
_LARGEST_DOCUMENT: Final = 1 << 20


def main(folder: Path) -> None:
    """Run the emulator until it ends."""
    evaluator: Any = import_module("ministack.core.iam_evaluator")
    evaluator.enforce = _witnessed(evaluator, folder / "decisions.jsonl")
    signal.signal(signal.SIGUSR1, lambda _number, _frame: _write_memory(folder / "memory.jsonl"))
    sys.argv = [_PACKAGE]
    import_module("ministack.app").main()


def _witnessed(evaluator: Any, log: Path) -> Callable[..., Any]:
    """Its decision about one call, written down before it takes effect."""
    enforce = evaluator.enforce
    account = import_module("ministack.core.responses").get_account_id

    def witnessed(
        access_key: str, action: str, service: str, region: str, resource_arn: str = "*", **more: Any
    ) -> Any:
        refusal = enforce(access_key, action, service, region, resource_arn, **more)
        principal = evaluator.resolve_principal(access_key or "", account())
        decision = {
            "principal": getattr(principal, "arn", ""),
            "action": action,
            "resource": resource_arn,
            "allowed": refusal is None,
        }
        with log.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(decision) + "\n")
        return refusal

    return witnessed


def _write_memory(file: Path) -> None:
    beside = file.with_suffix(".partial")
    with beside.open("w", encoding="utf-8") as lines:
        for name, module in sorted(sys.modules.items()):
            if name.startswith(_SERVICES):
                for place, content in _leaves(name.removeprefix(_SERVICES), vars(module), set(), 0):
                    encoded = base64.b64encode(content).decode()
                    lines.write(json.dumps([place, encoded]) + "\n")
    beside.replace(file)


def _leaves(place: str, value: Any, seen: set[int], depth: int) -> Iterator[tuple[str, bytes]]:
    """All text, numbers and bytes within a value."""
    if isinstance(value, str):
        yield place, value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes | bytearray):
        if not (value.startswith(_ARCHIVE) and len(value) > _LARGEST_DOCUMENT):
            yield place, bytes(value)
    elif isinstance(value, int | float):
        yield place, str(value).encode()
    elif id(value) not in seen and depth < _DEEPEST:
        seen.add(id(value))
        for name, part in _parts(value):
            yield from _leaves(f"{place}/{name}", part, seen, depth + 1)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a container of the emulator's holds; of code nothing."""
    # copies: other threads go on working
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield "key", key
            yield str(key)[:120], part
    elif isinstance(value, list | tuple | set | frozenset | deque):
        for part in list(value):
            yield "", part
    elif type(value).__module__.startswith(_PACKAGE):
        yield from list(getattr(value, "__dict__", {}).items())
        # its dictionaries by account
        yield from [
            ("", getattr(value, name)) for name in getattr(value, "__slots__", ()) if hasattr(value, name)
        ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
