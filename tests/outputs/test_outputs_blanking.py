"""A list's files without one person."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.errors import OutputError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.outputs.blanking import Blanked, blank_decisions
from contact_sanitizer.outputs.decisions import SCHEMA, DecisionsWriter
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.outputs.manifest import Counts, Manifest, OutputFile, Upload
from contact_sanitizer.reasons import Reason

ANN, BOB = (bytes([n]) * 16 for n in (1, 2))
NOBODY = bytes(16)
Rows = list[tuple[bytes, int]]
"""Whose row it is, and the value of its reason (0: kept)."""
SUPPRESSED, DUPLICATE, EMPTY = (int(Reason[word]) for word in ("SUPPRESSED", "DUPLICATE", "EMPTY"))


def written(path: Path, groups: list[Rows]) -> str:
    file = DigestingFile(path.open("xb"))
    writer, row = DecisionsWriter(file), 2
    for rows in groups:
        subjects = np.frombuffer(b"".join(who for who, _ in rows), np.uint8).reshape(-1, 16)
        reasons = np.array([reason for _, reason in rows], np.uint8)
        drops = np.where(reasons == SUPPRESSED, 1, np.where(reasons == DUPLICATE, 32, 0)).astype(np.uint8)
        writer.write(np.arange(row, row + len(rows)), subjects, reasons, drops)
        row += len(rows)
    writer.finish()
    file.close()
    return file.sha256


def blanked(folder: Path, source: Path, digest: str, subject: bytes = ANN) -> tuple[Blanked, Path]:
    target = folder / f"blank-{len(list(folder.iterdir()))}.parquet"
    file = DigestingFile(target.open("xb"))
    try:
        found = blank_decisions(subject, LocalFile(source), digest, file)
        file.close()
    finally:
        file.abandon()
    return found, target


KINDS = st.sampled_from([(ANN, 0), (BOB, 0), (ANN, SUPPRESSED), (BOB, DUPLICATE), (NOBODY, EMPTY)])


@settings(max_examples=40, derandomize=True, deadline=None)
@given(groups=st.lists(st.lists(KINDS, min_size=1, max_size=20), min_size=1, max_size=4))
def test_exactly_one_persons_subject_goes_and_their_clean_rows_are_named(
    tmp_path_factory: pytest.TempPathFactory, groups: list[Rows]
) -> None:
    folder = tmp_path_factory.mktemp("blanking")
    source = folder / "decisions.parquet"
    digest = written(source, groups)
    found, target = blanked(folder, source, digest)
    before, after = pq.read_table(source).to_pylist(), pq.read_table(target).to_pylist()
    assert after == [row | ({"subject": None} if row["subject"] == ANN else {}) for row in before]
    kept = [who for group in groups for who, reason in group if not reason]
    assert found.clean.tolist() == [place for place, who in enumerate(kept) if who == ANN]
    assert (found.rows, found.kept) == (sum(row["subject"] == ANN for row in before), len(kept))
    assert pq.ParquetFile(target).schema_arrow == SCHEMA
    assert pq.ParquetFile(target).num_row_groups == len(groups)
    # the next person's clean rows are counted among those that are left
    later, _ = blanked(folder, target, sha256(target.read_bytes()).hexdigest(), BOB)
    left = [who for who in kept if who != ANN]
    assert later.clean.tolist() == list(range(len(left)))


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda _: b"PAR1"])
def test_decisions_that_are_not_what_was_written_are_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    source = tmp_path / "decisions.parquet"
    digest = written(source, [[(ANN, 0)]])
    source.write_bytes(damage(source.read_bytes()))
    with pytest.raises(OutputError, match="list_damaged"):
        blanked(tmp_path, source, digest)


def test_a_manifest_tells_of_erased_rows_only_where_there_are_any() -> None:
    stated = b'"erased"'
    text = _manifest(0)
    assert stated not in text
    assert stated in _manifest(2)
    assert Manifest.decode(_manifest(2)).erased == 2
    with pytest.raises(OutputError, match="list_damaged"):
        Manifest.decode(text.replace(b'"rows": 0', b'"erased": 0,\n    "rows": 0', 1))


def _manifest(erased: int) -> bytes:
    counts = Counts(0, 0, 0, 0, {}, {}, 0)
    upload = Upload(0, "d", "csv", "none", None, None)
    outputs = [OutputFile("clean.csv", "a" * 64, 1, 0)]
    return Manifest("L", upload, {}, {}, {}, {}, counts, [], outputs, 0, 0, erased).encode()
