"""An unfinished snapshot, on its way from one run of a function to the next."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.aws.registry_events import PARTITIONS
from contact_sanitizer.screening.bulkfold import Resolutions
from contact_sanitizer.screening.snapshotmaking import FACTS
from contact_sanitizer.screening.snapshotmerging import joined
from contact_sanitizer.screening.subjectruns import SortedSubjects

_FORMAT: Final = "contact-sanitizer/snapshot-progress/v1"
_STATED: Final = "stated"
_DAMAGE: Final = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


@dataclass(slots=True, repr=False)
class Progress:
    """What was read of a registry as it was at `change`, folded for the rule with that digest at `built_at`.

    `anchor`: what tells that history from another. `read`: by contract how many partitions were read, and
    `parts` what was said of the people in them.
    """

    rule: str
    change: int
    anchor: str
    built_at: int
    read: dict[int, int]
    parts: dict[int, list[Resolutions]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether everybody was read."""
        return all(count == PARTITIONS for count in self.read.values())

    def take(self, contract: int, folded: Resolutions) -> None:
        """Takes in the next partition of a contract."""
        self.parts.setdefault(contract, []).append(folded.telling())
        self.read[contract] += 1

    def encode(self) -> bytes:
        """The bytes that `decode` reads."""
        stated = {
            "format": _FORMAT,
            "rule": self.rule,
            "change": self.change,
            "anchor": self.anchor,
            "built_at": self.built_at,
            "read": [[contract, count] for contract, count in self.read.items()],
        }
        arrays = {_STATED: np.frombuffer(json.dumps(stated).encode(), np.uint8)}
        for contract, parts in self.parts.items():
            arrays |= {f"{contract}-{name}": column for name, column in _columns(joined(parts)).items()}
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **arrays)
        return data.getvalue()

    @classmethod
    def decode(cls, data: bytes) -> Progress | None:
        """What was kept; None where it is nothing of ours, or damaged."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                stated: dict[str, Any] = json.loads(kept[_STATED].tobytes())
                if stated.pop("format") != _FORMAT:
                    return None
                read = {int(contract): int(count) for contract, count in stated.pop("read")}
                known = {contract for contract in read if f"{contract}-hi" in kept}
                parts = {contract: [_resolutions(kept, contract)] for contract in known}
            return cls(**stated, read=read, parts=parts)
        except _DAMAGE:
            return None


def _columns(folded: Resolutions) -> dict[str, NDArray[Any]]:
    facts = {name: getattr(folded, name) for name in (*FACTS, "unsettled")}
    return {"hi": folded.subjects.hi, "lo": folded.subjects.lo, **facts}


def _resolutions(kept: Any, contract: int) -> Resolutions:
    hi, lo, *facts = (kept[f"{contract}-{name}"] for name in ("hi", "lo", *FACTS, "unsettled"))
    return Resolutions(SortedSubjects(hi, lo), *facts)
