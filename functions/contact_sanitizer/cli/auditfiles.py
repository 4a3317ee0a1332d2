"""What the commands of `audit` read and write: keys, checkpoints, proofs, and how far a long work is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from contact_sanitizer.audit.notes import Verifier, parse_verifiers
from contact_sanitizer.audit.verify import Progress, no_progress
from contact_sanitizer.errors import AuditError, OutputError

PATH: Final = click.Path(path_type=Path)
FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
SHOW_AFTER_SECONDS: Final = 1.0
LARGEST_FILE: Final = 1 << 20


def keys_in(path: Path) -> list[Verifier]:
    """The verifier keys in a file; `AuditError` (`public_key_invalid`) where it holds none."""
    data = content_of(path, "public_key_invalid", "the public key cannot be read")
    try:
        return parse_verifiers(data.decode("ascii"))
    except UnicodeDecodeError:
        raise AuditError(
            "public_key_invalid", "the public key is no verifier key: NAME+KEYID+BASE64"
        ) from None


def keys_of_copy(folder: Path, key_file: Path | None) -> list[Verifier]:
    """The keys to verify a copied log with; taken from the copy itself, with a warning, where none is given.

    Raises `AuditError`: `audit_missing` where there is no such folder, and as `keys_in`.
    """
    if not folder.is_dir():
        raise AuditError("audit_missing", "there is no such folder")
    if key_file is None:
        click.echo(
            "warning: the public key was taken from the folder itself; whoever changed the log could have"
            " changed it too. Give --public-key.",
            err=True,
        )
    return keys_in(key_file or folder / "public-key")


def content_of(path: Path, code: str, message: str) -> bytes:
    """A small file's bytes; `AuditError` of that code where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE)
    except (OSError, ValueError):
        raise AuditError(code, message) from None


def write_out(place: Path, data: bytes) -> None:
    """Write a result to a new file; one that holds the same stays.

    `OutputError`: `out_exists` where another file is there, `out_unwritable`.
    """
    try:
        if place.is_file() and place.read_bytes() == data:
            return
        with place.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise OutputError("out_exists", "another file is there already; it was left as it is") from None
    except (OSError, ValueError):
        raise OutputError("out_unwritable", "the result cannot be written there") from None


@contextmanager
def progress_bar(title: str = "verifying") -> Iterator[Progress]:
    """A bar on a terminal's standard error, shown once the work takes over a second; else nothing."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from time import monotonic  # noqa: PLC0415 - only for a terminal

    from rich.console import Console  # noqa: PLC0415 - only for a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(title, *columns, console=Console(stderr=True), transient=True)
    task, started, shown = bar.add_task(title), monotonic(), False

    def tell(done: int, whole: int) -> None:
        nonlocal shown
        bar.update(task, completed=done, total=whole)
        if not shown and monotonic() - started > SHOW_AFTER_SECONDS:
            bar.start()
            shown = True

    try:
        yield tell
    finally:
        bar.stop()
