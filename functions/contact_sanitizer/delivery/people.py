"""Who was on a delivery: a note for our own eyes, from which recalls and traces are made.

Runs of people, each sorted by subject, so that a delivery of any size is written as it is rendered:
`magic ‖ run…`, a run being `count (4 bytes, little endian) ‖ key id (4) ‖ count subjects (16 each) ‖ count
sealed numbers (32 each)`. A sealed number is the inside of the person's token in the delivery's audience, so
the note says nothing about a number without the keys; it is all zeros for a person who was erased.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.errors import ContactSanitizerError, DeliveryError, IntakeError
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.outputs.digesting import Digest, DigestingFile
from contact_sanitizer.protection.digests import note_digest
from contact_sanitizer.protection.slabs import items
from contact_sanitizer.protection.wire import PREFIX_BYTES, WIRE_BYTES, wire_prefix
from contact_sanitizer.screening.subjectruns import Needles, SortedSubjects, halves

MAGIC: Final = b"CtPeople\x01\0\0\0\0\0\0\0"
_HEAD: Final = np.dtype([("count", "<u4"), ("key_id", "<u4")])
_SEALED_BYTES: Final = WIRE_BYTES - PREFIX_BYTES
_MOST: Final = 1 << 26
_MISSING: Final = {"file_missing", "object_missing"}


@dataclass(frozen=True, slots=True, repr=False)
class PeopleRun:
    """Some people of a delivery: `first` is the place of the first one in the whole note.

    `subjects` uint8 (n, 16) ascending; `wires` uint8 (n, 37), each person's token in the delivery's audience.
    """

    first: int
    subjects: NDArray[np.uint8]
    wires: NDArray[np.uint8]

    @property
    def erased(self) -> NDArray[np.bool_]:
        """Whose places are empty, for they were erased: bool (n,)."""
        empty: NDArray[np.bool_] = ~self.wires[:, PREFIX_BYTES:].any(axis=1)
        return empty

    def __len__(self) -> int:
        return len(self.subjects)

    def __repr__(self) -> str:
        return f"PeopleRun({len(self)})"


class PeopleWriter:
    """Writes the note; `file` is closed by whoever opened it."""

    def __init__(self, file: DigestingFile) -> None:
        self._file = file
        file.write(MAGIC)

    def write(self, subjects: NDArray[np.uint8], order: NDArray[np.int64], wires: NDArray[np.uint8]) -> None:
        """One run: subjects (n, 16) and wires (n, 37) row by row, `order` sorts them by subject.

        All wires of a run were sealed under one key.
        """
        if not len(subjects):
            return
        key_id = int.from_bytes(wires[0, 1:PREFIX_BYTES].tobytes(), "big")
        self._file.write(np.array([(len(subjects), key_id)], _HEAD).tobytes())
        for matrix in (subjects, wires[:, PREFIX_BYTES:]):
            self._file.write(items(matrix).take(order).view(np.uint8).data)


def read_people(note: Source, expected: str) -> Iterator[PeopleRun]:
    """The runs of a note whose digest is known.

    Raises `DeliveryError`: `people_damaged` where it is not what was written, at its end at the latest (act
    on nothing before); `people_gone` where it is not there, as when the delivery's term is over.
    """
    try:
        with note.open() as file:
            yield from _runs(file, expected)
    except IntakeError as error:
        if error.code not in _MISSING:
            raise _unreadable() from None
        raise DeliveryError("people_gone", "who was on the delivery is no longer kept") from None
    except (OSError, ValueError, ContactSanitizerError):
        raise _unreadable() from None


def erase_from(note: Source, expected: str, subject: bytes, file: DigestingFile) -> list[int]:
    """Write the note to `file` with one person's places (16 bytes) empty; which places these were.

    All others keep their places, by which recalls name them. In the place of the subject stands what follows
    the one before it, so that a run stays in order and says nothing of who was there; in the place of the
    sealed number, zeros. Raises `DeliveryError` (`people_damaged`).
    """
    writer, places = PeopleWriter(file), list[int]()
    wanted = np.frombuffer(subject, np.uint8)
    for run in read_people(note, expected):
        subjects = run.subjects.copy()
        rows = np.flatnonzero((subjects == wanted).all(axis=1)).tolist()
        for row in rows:
            before = int.from_bytes(subjects[row - 1].tobytes()) + 1 if row else 0
            subjects[row] = np.frombuffer(before.to_bytes(16), np.uint8)
            run.wires[row, PREFIX_BYTES:] = 0
        writer.write(subjects, np.arange(len(run)), run.wires)
        places += [run.first + row for row in rows]
    return places


def is_among(note: Source, expected: str, subjects: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each of these subjects (n, 16) was on the delivery: bool (n,). Raises as `read_people`."""
    needles = Needles.of(subjects)
    found = np.zeros(len(subjects), np.bool_)
    for run in read_people(note, expected):
        found[needles.order] |= SortedSubjects(*halves(run.subjects)).contains(needles.hi, needles.lo)
    return found


def _runs(file: BinaryIO, expected: str) -> Iterator[PeopleRun]:
    digest = note_digest()
    first = 0
    if _exactly(file, len(MAGIC), digest) != MAGIC:
        raise ValueError
    while head := _exactly(file, _HEAD.itemsize, digest):
        count, key_id = np.frombuffer(head, _HEAD)[0].tolist()
        if not 0 < count <= _MOST:
            raise ValueError
        subjects = np.frombuffer(_exactly(file, 16 * count, digest), np.uint8).reshape(count, 16)
        sealed = np.frombuffer(_exactly(file, _SEALED_BYTES * count, digest), np.uint8)
        wires = np.empty((count, WIRE_BYTES), np.uint8)
        wires[:, :PREFIX_BYTES] = np.frombuffer(wire_prefix(key_id), np.uint8)
        wires[:, PREFIX_BYTES:] = sealed.reshape(count, _SEALED_BYTES)
        yield PeopleRun(first, subjects, wires)
        first += count
    if digest.hexdigest() != expected:
        raise ValueError


def _unreadable() -> DeliveryError:
    return DeliveryError("people_damaged", "the note of who was on the delivery cannot be read")


def _exactly(file: BinaryIO, size: int, digest: Digest) -> bytes:
    """`size` bytes, or none at the end of the file; ValueError for anything between."""
    content = bytearray()
    while len(content) < size and (piece := file.read(size - len(content))):
        content += piece
    if len(content) not in {0, size}:
        raise ValueError
    whole = bytes(content)
    digest.update(whole)
    return whole
