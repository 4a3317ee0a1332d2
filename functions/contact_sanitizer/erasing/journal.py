"""What an erasure has done so far, kept in the catalogue until its receipt has been handed over.

Whoever takes it up again after a crash goes on with the same id, the same key and the same counts. Its
documents are named by a keyed code of the person; when the receipt is handed over all of them go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from contact_sanitizer.errors import CatalogueError
from contact_sanitizer.ports import Record, Records

ERASURE: Final = "erasure"


class Thing(StrEnum):
    """What one step of an erasure is about."""

    LIST = "list"
    DELIVERY = "delivery"
    REDEMPTION = "redemption"


@dataclass(frozen=True, slots=True)
class Begun:
    """What is settled when an erasure begins; `opening` in hex, `known`: what the registry held, by kind.

    `leave`: whether a refusal stays also where none is on record. `receipt`: the receipt, once all is done.
    """

    erasure: str
    opening: str
    at: int
    known: Mapping[str, int]
    leave: bool
    receipt: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is being erased from, or was: what it is to become (`digest`), and what is counted."""

    thing: Thing
    name: str
    digest: str
    counts: Mapping[str, int]
    about: Mapping[str, Any]
    done: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """The documents of one person's erasure; `who` names them."""

    records: Records
    who: str

    def begun(self) -> Begun | None:
        """What an earlier attempt began; None where there was none."""
        record = self.records.get(ERASURE, self.who)
        try:
            return Begun(**record.document) if record else None
        except TypeError:
            raise _damaged() from None

    def begin(self, begun: Begun) -> None:
        """Keep what was settled; replaces what was there."""
        self._put(self.who, asdict(begun))

    def steps(self) -> Iterator[Step]:
        """All steps, of each thing in the order of names."""
        for record in self.records.named(ERASURE, f"{self.who}/"):
            yield _step(record)

    def put(self, step: Step) -> None:
        """Keep a step: before its effect, and once more when it is done."""
        self._put(f"{self.who}/{step.thing}/{step.name}", asdict(step))

    def close(self) -> None:
        """Let go of all of it, the beginning last."""
        steps = [record.name for record in self.records.named(ERASURE, f"{self.who}/")]
        for name in (*steps, self.who):
            while record := self.records.get(ERASURE, name):
                self.records.delete(ERASURE, name, after=record.version)

    def _put(self, name: str, document: Mapping[str, Any]) -> None:
        while True:
            record = self.records.get(ERASURE, name)
            if self.records.put(ERASURE, name, document, after=record.version if record else 0):
                return


def _step(record: Record) -> Step:
    try:
        return Step(**{**record.document, "thing": Thing(record.document["thing"])})
    except (TypeError, ValueError, KeyError):
        raise _damaged() from None


def _damaged() -> CatalogueError:
    return CatalogueError("catalogue_damaged", "the catalogue's entry of an erasure is damaged")
