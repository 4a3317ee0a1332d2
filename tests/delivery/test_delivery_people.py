"""A person's places in the note of a delivery are emptied, and everybody else keeps theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contact_sanitizer.delivery.people import PeopleWriter, erase_from, is_among, read_people
from contact_sanitizer.errors import DeliveryError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.protection.digests import note_digest
from contact_sanitizer.protection.wire import WIRE_BYTES, wire_prefix

ANN = bytes([7]) * 16
Runs = list[list[bytes]]


def note(path: Path, runs: Runs) -> str:
    file = DigestingFile(path.open("xb"), digest=note_digest())
    writer = PeopleWriter(file)
    for number, run in enumerate(runs):
        subjects = np.frombuffer(b"".join(sorted(run)), np.uint8).reshape(-1, 16)
        wires = np.full((len(run), WIRE_BYTES), number + 1, np.uint8)
        wires[:, :5] = np.frombuffer(wire_prefix(9), np.uint8)
        writer.write(subjects, np.arange(len(run)), wires)
    file.close()
    return file.hexdigest


def people(path: Path, digest: str) -> list[tuple[bytes, bytes, bool]]:
    return [
        (subject.tobytes(), wire.tobytes(), erased)
        for run in read_people(LocalFile(path), digest)
        for subject, wire, erased in zip(run.subjects, run.wires, run.erased.tolist(), strict=True)
    ]


SUBJECTS = st.sampled_from([bytes(16), b"\0" * 15 + b"\1", ANN, bytes([7]) * 15 + b"\x08", b"\xff" * 16])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(runs=st.lists(st.lists(SUBJECTS, min_size=1, max_size=6), min_size=1, max_size=3))
def test_others_keep_their_places_and_a_run_its_order(
    tmp_path_factory: pytest.TempPathFactory, runs: Runs
) -> None:
    folder = tmp_path_factory.mktemp("people")
    digest = note(folder / "before", runs)
    before = people(folder / "before", digest)
    file = DigestingFile((folder / "after").open("xb"), digest=note_digest())
    places = erase_from(LocalFile(folder / "before"), digest, ANN, file)
    file.close()
    after = people(folder / "after", file.hexdigest)
    assert places == [place for place, (subject, _, _) in enumerate(before) if subject == ANN]
    assert [erased for _, _, erased in after] == [place in places for place in range(len(before))]
    assert [each for place, each in enumerate(after) if place not in places] == [
        each for place, each in enumerate(before) if place not in places
    ]
    for run in read_people(LocalFile(folder / "after"), file.hexdigest):
        subjects = [subject.tobytes() for subject in run.subjects]
        assert subjects == sorted(subjects)
        assert ANN not in subjects
    wanted: NDArray[np.uint8] = np.frombuffer(ANN, np.uint8).reshape(1, 16)
    assert not is_among(LocalFile(folder / "after"), file.hexdigest, wanted).any()
    assert (folder / "after").stat().st_size == (folder / "before").stat().st_size


def test_a_note_that_is_not_what_was_written_is_refused(tmp_path: Path) -> None:
    note(tmp_path / "before", [[ANN]])
    file = DigestingFile((tmp_path / "after").open("xb"), digest=note_digest())
    with pytest.raises(DeliveryError, match="people_damaged"):
        erase_from(LocalFile(tmp_path / "before"), "0" * 64, ANN, file)
    file.abandon()
