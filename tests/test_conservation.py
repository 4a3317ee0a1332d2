"""Whatever the format and however messy the rows: each record has exactly one outcome, in order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contact_sanitizer.reasons import Reason
from desk import Result, agree, policy, run, workspace
from files import FORMATS

PHONES = st.one_of(
    st.integers(0, 9).map(lambda n: f"1381234567{n}"),
    st.integers(0, 9).map(lambda n: f"+86 138-1234-567{n}"),
    st.sampled_from(
        [
            "",
            "无",
            "138****5678",
            "95588",
            "010-64812345",
            "1.38E+10",
            "13812345670(已退订)",
            "x",
            "+1 212 555 0142",
        ]
    ),
    st.text(alphabet="0123456789+-() 转;\"',\n＋１３８", max_size=18),
)
# a record whose cells are all empty is blank, and then it is no record
ROWS = st.lists(st.tuples(PHONES, st.sampled_from(["是", "否", "?", "yes"])), max_size=40)


def check(result: Result, first: int, rows: int) -> None:
    counts = result.manifest.counts
    decisions = result.decisions
    assert counts.rows == rows == len(decisions)
    assert counts.rows == counts.kept + counts.dropped + counts.rejected
    assert sum(counts.by_reason.values()) == counts.dropped + counts.rejected
    assert [row["row"] for row in decisions] == list(range(first, first + rows))
    assert len(result.clean) == counts.kept == sum(row["verdict"] == "kept" for row in decisions)
    assert list(result.rejects) == [row["row"] for row in decisions if row["verdict"] != "kept"]
    for row in decisions:
        assert (row["verdict"] == "kept") == (row["reason"] is None)
        if row["reason"]:
            assert row["reasons"][0] == row["reason"]
            assert row["verdict"] == ("dropped" if Reason[row["reason"].upper()].drops else "rejected")
    kept = [row["subject"] for row in decisions if row["verdict"] == "kept"]
    assert len(kept) == len(set(kept))


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=12, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_every_record_has_exactly_one_outcome(
    name: str, rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    write, first = FORMATS[name]
    folder = tmp_path_factory.mktemp("c")
    place = workspace(folder / "home")
    agree(place, ["13812345671", "13812345672"])
    upload = folder / name
    # one row that always is there, so that a header and a phone column are found
    rows = [("13812345671", "是"), *rows]
    upload.write_bytes(write(rows))
    check(run(place, upload, policy(("disclose: coarse", "disclose: full"))), first, len(rows))


def test_all_formats_come_to_the_same_verdicts(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - made-up data
    place = workspace(tmp_path / "home")
    agree(place, [f"1391234567{n}" for n in range(5)])
    phones = ["1381234567{}", "+86 138 1234 567{}", "x{}", "138****567{}", "010-6481234{}"]
    rows = [
        (chance.choice(phones).format(chance.randint(0, 9)), chance.choice(["是", "", "否"]))
        for _ in range(500)
    ] + [(f"139 1234 567{n}", "是") for n in range(10)]
    verdicts = {}
    for name, (write, _) in FORMATS.items():
        (tmp_path / name).write_bytes(write(rows))
        verdicts[name] = run(place, tmp_path / name).reasons
    assert all(verdict == verdicts["list.csv"] for verdict in verdicts.values())
    assert None in verdicts["list.csv"]


def test_malformed_records_keep_their_place(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    upload = tmp_path / "l.csv"
    upload.write_text("phone,note\n13812345671,a\nonly-one\n\n13812345672,b,c\n13812345673,d\n")
    assert run(place, upload).reasons == [
        "consent_missing",
        "malformed_row",
        "malformed_row",
        "consent_missing",
    ]
