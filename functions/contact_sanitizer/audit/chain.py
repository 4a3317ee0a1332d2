"""The kept checkpoints: all there, each signed, each following the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contact_sanitizer.audit.checkpoint import Checkpoint, open_checkpoint
from contact_sanitizer.audit.merkle import EMPTY_ROOT
from contact_sanitizer.audit.notes import Verifier
from contact_sanitizer.audit.succession import Succession
from contact_sanitizer.audit.tiles import CHECKPOINT, kept_checkpoint_key, parse_kept_checkpoint
from contact_sanitizer.errors import AuditError

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects


@dataclass(frozen=True, slots=True)
class Chain:
    """All kept checkpoints in order; the keys that signed them, in theirs; those in which the key changed."""

    checkpoints: list[Checkpoint]
    keys: tuple[Verifier, ...]
    handovers: tuple[Checkpoint, ...]


def read_chain(
    objects: Objects, keys: Iterable[str], verifiers: Sequence[Verifier], advance: Callable[[int], None]
) -> Chain:
    """All kept checkpoints, of which the last one is the log's.

    `AuditError` names the first that does not fit: `checkpoint_missing`, `checkpoint_malformed`,
    `checkpoint_unsigned`, `checkpoint_disordered`, `checkpoint_behind`, `key_unannounced`. Whether the roots
    are those of the entries is not looked at here.
    """
    numbers = sorted(number for key in keys if (number := parse_kept_checkpoint(key)) is not None)
    missing = next((at for at, number in enumerate(numbers) if at != number), None)
    if missing is not None or not numbers:
        raise AuditError("checkpoint_missing", f"checkpoint {missing or 0} is not among those that were kept")
    chain: list[Checkpoint] = []
    succession = Succession(verifiers, lambda: (_note(objects, n) for n in numbers))
    note = b""
    for number in numbers:
        note = _note(objects, number)
        found = succession.open(note, f"checkpoint {number}")
        _require_follows(chain[-1] if chain else None, found, number)
        chain.append(found)
        advance(1)
    _require_newest(objects.get(CHECKPOINT), note, chain[-1], succession.keys)
    return Chain(chain, tuple(succession.keys), tuple(succession.handovers))


def _note(objects: Objects, number: int) -> bytes:
    return objects.get(kept_checkpoint_key(number)) or b""


def opened(note: bytes, verifiers: Sequence[Verifier], name: str) -> Checkpoint:
    """A checkpoint from its note; an `AuditError` names it by `name`."""
    try:
        return open_checkpoint(note, verifiers)
    except AuditError as error:
        if error.code == "note_unsigned":
            raise AuditError("checkpoint_unsigned", f"{name} is not signed by the given key") from None
        raise AuditError("checkpoint_malformed", f"{name} is not written as a checkpoint") from None


def _require_follows(last: Checkpoint | None, found: Checkpoint, number: int) -> None:
    if last is None:
        fits = found.number == 0 and (found.size or found.root == EMPTY_ROOT)
    else:
        fits = found.number == last.number + 1 and found.size >= last.size and found.time >= last.time
        fits = fits and (found.size > last.size or found.root == last.root)
        fits = fits and (not found.keys[1] or found.size == last.size)
    if not fits:
        raise AuditError(
            "checkpoint_disordered",
            f"checkpoint {number} does not follow the one before: number, size or time",
        )


def _require_newest(
    note: bytes | None, newest_note: bytes, newest: Checkpoint, verifiers: Sequence[Verifier]
) -> None:
    """Refuse a `checkpoint` that is not the newest kept one."""
    if note == newest_note:
        return
    if note is None:
        raise AuditError("checkpoint_missing", "the log's own checkpoint is missing")
    told = opened(note, verifiers, "the log's own checkpoint")
    if told.number > newest.number:
        raise AuditError("checkpoint_missing", f"checkpoint {told.number} is not among those that were kept")
    raise AuditError(
        "checkpoint_behind",
        f"the log shows checkpoint {told.number}, but number {newest.number} was signed"
        " (a copy that was taken during a seal looks so too)",
    )
