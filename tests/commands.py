"""Command lines, run in this process: what they print, what they say, and how they end."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contact_sanitizer.cli.frame import run_command
from contact_sanitizer.cli.root import root


@dataclass(frozen=True)
class Said:
    """How a command ended: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def end(self) -> Said:
        """The same with the last line of standard error alone: some commands speak before they fail."""
        return replace(self, err="".join(self.err.splitlines(keepends=True)[-1:]))

    @property
    def code(self) -> str:
        """The code of the one sentence on standard error, after which nothing else may stand."""
        assert self.status in {1, 2}, self
        assert self.err.count("\n") == 1, self
        start, code, sentence = self.err.split(": ", 2)
        assert start == "error", self
        assert len(sentence.strip()) > 10, self
        return code


@contextmanager
def _standard_input(given: bytes | None) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(given or b""), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before


def command(*arguments: str | Path, home: Path | None = None, give: bytes | None = None) -> Said:
    """Run `contact-sanitizer ARGUMENTS`, in `home` where it is given, with `give` as standard input."""
    placed = ["--home", str(home)] if home else []
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), _standard_input(give):
        status = run_command(root, [*placed, *map(str, arguments)])
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.detach().getvalue().decode())
    return Said(status, *texts)
