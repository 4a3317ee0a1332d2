from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from contact_sanitizer.errors import OutputError
from contact_sanitizer.outputs.decisions import DecisionsWriter
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.outputs.manifest import counts_of, rfc3339
from contact_sanitizer.outputs.rejects import RejectsWriter
from contact_sanitizer.reasons import Reason

REASONS = np.array([reason.value for reason in Reason], np.uint8)


def rejects(*, coarse: bool) -> list[str]:
    buffer = io.BytesIO()
    writer = RejectsWriter(DigestingFile(buffer), coarse=coarse)
    writer.write(np.arange(2, 2 + len(REASONS)), REASONS)
    assert writer.rows == len(REASONS) - 1
    return buffer.getvalue().decode().splitlines()


def test_every_row_that_is_not_kept_is_reported_once_with_its_record_number() -> None:
    lines = rejects(coarse=False)
    assert lines[0] == "row,reason"
    assert lines[1:] == [f"{row},{reason.word}" for row, reason in enumerate(Reason, 2) if reason]


def test_coarse_reports_do_not_say_what_others_know_about_a_person() -> None:
    words = [line.split(",")[1] for line in rejects(coarse=True)[1:]]
    assert words.count("not_contactable") == 5
    assert "duplicate" in words
    assert "opt_out_note" in words
    assert not {"suppressed", "consent_missing", "consent_other"} & set(words)


def test_decisions_hold_all_reasons_and_no_subject_where_there_is_no_number(tmp_path: Path) -> None:
    file = DigestingFile((tmp_path / "d.parquet").open("wb"))
    writer = DecisionsWriter(file)
    subjects = np.zeros((4, 16), np.uint8)
    subjects[0] = 1
    subjects[2] = np.arange(16)
    reasons = np.array([0, Reason.EMPTY, Reason.SUPPRESSED, Reason.OPT_OUT_NOTE], np.uint8)
    writer.write(np.arange(2, 6), subjects, reasons, np.array([0, 0, 1 | 2 | 32, 0], np.uint8))
    writer.write(np.arange(0), subjects[:0], reasons[:0], reasons[:0])
    writer.finish()
    file.close()
    rows = pq.read_table(tmp_path / "d.parquet").to_pylist()
    assert [row["verdict"] for row in rows] == ["kept", "rejected", "dropped", "dropped"]
    assert [row["reason"] for row in rows] == [None, "empty", "suppressed", "opt_out_note"]
    assert rows[2]["reasons"] == ["suppressed", "consent_missing", "duplicate"]
    assert [row["reasons"] for row in rows[:2]] == [[], ["empty"]]
    assert [row["subject"] for row in rows] == [b"\1" * 16, None, bytes(range(16)), None]
    assert [row["row"] for row in rows] == [2, 3, 4, 5]


def test_counts_add_up() -> None:
    by_value = np.arange(len(Reason), dtype=np.int64)
    counts = counts_of(by_value, {}, 0)
    assert counts.rows == counts.kept + counts.dropped + counts.rejected == by_value.sum()
    assert sum(counts.by_reason.values()) == counts.dropped + counts.rejected


def test_moments_are_utc_to_the_millisecond() -> None:
    assert rfc3339(1_700_000_000_250) == "2023-11-14T22:13:20.250Z"


def test_a_full_disk_is_said_without_a_path() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        file = DigestingFile(full)
        with pytest.raises(OutputError, match="out_full") as caught:
            file.write(b"x" * 10)
    assert "/dev" not in str(caught.value)
    assert caught.value.__suppress_context__
