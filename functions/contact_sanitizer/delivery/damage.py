"""What looks damaged is looked at twice: a store that did not answer must not pass for an alteration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from contact_sanitizer.errors import DeliveryError, IntakeError, OutputError
from contact_sanitizer.intake.raw import Source

#: How lists and notes say that they are not what was written.
DAMAGED: Final = frozenset({"list_damaged", "people_damaged"})
_MISSING: Final = frozenset({"file_missing", "object_missing"})
_PIECE: Final = 1 << 20

Done = TypeVar("Done")


def looked_at_twice(work: Callable[[], Done], sources: Sequence[Source]) -> Done:
    """What `work` returns or raises; where that is damage, once more after all it reads from was read.

    Raises `IntakeError` (`object_unreadable`, …) where a source does not answer.
    """
    try:
        return work()
    except (OutputError, DeliveryError) as error:
        if error.code not in DAMAGED:
            raise
    for source in sources:
        _read(source)
    return work()


def _read(source: Source) -> None:
    try:
        with source.open() as file:
            while file.read(_PIECE):
                pass
    except IntakeError as error:
        if error.code not in _MISSING:
            raise
