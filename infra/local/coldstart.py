"""What a cold start costs: sizes of the built layers, and what each function takes until its first event.

Each function runs under Lambda's own runtime client (awslambdaric) with its built code and layers in front of
everything else, against a Runtime API that only listens: from the start of the process until the first
`GET /runtime/invocation/next` everything is imported and nothing has been asked for yet. Processor time is
shown beside time on the clock, since other work on the machine lengthens only the latter.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import yaml

from emulator import TOOLS
from rehearsal import BUILD, build

_RUNS: Final = 5
_PATIENCE: Final = 30.0
_LIMIT: Final = 250


class _Loader(yaml.SafeLoader):
    """Reads the built template, where functions of CloudFormation are in their long form or short tags."""


def _name(loader: _Loader, _suffix: str, node: yaml.Node) -> Any:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _name)


def megabytes(folder: Path) -> float:
    """What a folder takes unzipped."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1_000_000


@contextmanager
def runtime_api(asked: Event) -> Iterator[int]:
    """A Runtime API that says when the first event is asked for and never gives one; yields its port."""
    ended = Event()

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            ended.wait(10)

        def do_POST(self) -> None:
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing: the times are what is printed."""

    server = HTTPServer(("127.0.0.1", 0), Listener)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def start(handler: str, folders: list[Path]) -> tuple[float, float]:
    """Milliseconds on the clock and of processor from the start to the first question for an event."""
    asked = Event()
    with runtime_api(asked) as port:
        names = ("CS_STACK", "CS_UPLOADS_BUCKET", "CS_CLEAN_BUCKET", "CS_AUDIT_BUCKET")
        environment = {
            **dict.fromkeys(names, "benchmark"),
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
            "PYTHONPATH": ":".join(map(str, folders)),
            "PATH": "/usr/bin:/bin",
        }
        command = [str(TOOLS / "python3.13"), "-m", "awslambdaric", handler]
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=environment, cwd=folders[0], stdout=subprocess.DEVNULL)
        if not asked.wait(_PATIENCE):
            process.kill()
            process.wait()
            raise SystemExit(f"{handler} does not start")
        clock = time.perf_counter() - begin
        process.kill()
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
        return clock * 1_000, (used.ru_utime + used.ru_stime) * 1_000


def main() -> None:
    """Print sizes, then the median of some starts of each function."""
    build()
    template = yaml.load((BUILD / "template.yaml").read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    sizes = {layer: megabytes(BUILD / layer) for layer in ("LightLayer", "EngineLayer")}
    functions = {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    code = megabytes(BUILD / next(iter(functions)))
    for name, size in [*sizes.items(), ("our own code", code)]:
        print(f"{name:<24} {size:6.1f} MB unzipped")
    print(f"{'all together':<24} {sum(sizes.values()) + code:6.1f} MB of {_LIMIT}\n")
    print(f"cold start, median of {_RUNS}, ms:     clock  processor")
    for name, properties in functions.items():
        layers = [layer["Ref"] if isinstance(layer, dict) else layer for layer in properties["Layers"]]
        folders = [BUILD / name, *(BUILD / layer / "python" for layer in layers)]
        start(properties["Handler"], folders)
        times = [start(properties["Handler"], folders) for _ in range(_RUNS)]
        clock, used = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name:<30} {clock:8.0f} {used:10.0f}   {'+'.join(layers)}", flush=True)


if __name__ == "__main__":
    main()
