"""`phone`: cells in, one a line; JSON lines out, in the same order."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from commands import command
from contact_sanitizer.reasons import Reason

TABLE = Path(__file__).parents[1] / "phone" / "data" / "phone_cells.csv"
WORDS = {kind: name.lower() for name, kind in vars(PhoneNumberType).items() if isinstance(kind, int)}
CONTACTABLE = {"mobile", "fixed_line_or_mobile"}
OURS = {"iot_number", "satellite", "service_port", "service_number", "placeholder"}
# China's 400 numbers, which libphonenumber calls shared cost.
OUR_EXAMPLES = {("CN", "service_number")}


def table() -> dict[str, list[tuple[str, str]]]:
    """Cells and what is expected of them, by region."""
    cells = defaultdict(list)
    with TABLE.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            cells[row["default_region"]].append((row["cell"], row["expected"]))
    return cells


def answer_of(line: dict[str, Any]) -> str:
    return str(line.get("reason") or line["number"])


@pytest.mark.parametrize("region", sorted(table()))
def test_the_table_of_cells_comes_out_as_it_says_from_either_input(region: str, tmp_path: Path) -> None:
    cells, expected = zip(*table()[region], strict=True)
    given = "".join(f"{cell}\n" for cell in cells).encode()
    (tmp_path / "cells").write_bytes(given)
    said = command("phone", "--region", region, give=given)
    assert said.status == 0
    assert said.err == ""
    assert [answer_of(line) for line in said.lines] == list(expected)
    assert [line["row"] for line in said.lines] == list(range(1, len(cells) + 1))
    for line in said.lines:
        assert set(line) in ({"row", "reason"}, {"row", "number", "type", "region"})
    assert command("phone", "--json", "--region", region.lower(), tmp_path / "cells") == said


def examples() -> dict[str, list[phonenumbers.PhoneNumber]]:
    found = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        numbers = [phonenumbers.example_number_for_type(region, kind) for kind in range(11)]
        found[region] = [number for number in numbers if number is not None]
    return found


def expected_of(number: phonenumbers.PhoneNumber) -> dict[str, str | None]:
    """What `phone` has to say, from what phonenumbers says."""
    kind = WORDS[phonenumbers.number_type(number)]
    if kind not in CONTACTABLE:
        return {"reason": kind}
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return {"number": e164, "type": kind, "region": phonenumbers.region_code_for_number(number)}


def test_the_example_numbers_of_every_region_and_type_agree_with_phonenumbers() -> None:
    told, ours = 0, []
    for region, numbers in examples().items():
        given = "".join(f"{phonenumbers.format_number(n, PhoneNumberFormat.NATIONAL)}\n" for n in numbers)
        lines = command("phone", "--region", region, give=given.encode()).lines
        for number, line in zip(numbers, lines, strict=True):
            del line["row"]
            if line.get("reason") in OURS:
                ours.append((region, line["reason"]))
            else:
                assert line == expected_of(number), region
            told += "number" in line
    assert told > 200
    assert set(ours) == OUR_EXAMPLES


def test_every_answer_is_a_reason_of_the_contract_or_a_number() -> None:
    given = "\n".join(["", " ", "13812345678", "+", "😀", "1" * 1000, '"', "=1+1", "\x00", "a\tb"]).encode()
    lines = command("phone", give=given).lines
    words = {reason.word for reason in Reason}
    assert len(lines) == 10
    assert all(line.get("reason", "empty") in words for line in lines)
    assert lines[2] == {"row": 3, "number": "+8613812345678", "type": "mobile", "region": "CN"}


def test_lines_end_as_on_any_system_and_the_last_one_need_not_end() -> None:
    said = command("phone", give=b"13812345678\r\n13912345678\n13712345678")
    assert [line["number"][3:6] for line in said.lines] == ["138", "139", "137"]
    assert command("phone", give=b"").out == ""
    assert command("phone", give=b"\n").lines == [{"row": 1, "reason": "empty"}]


def test_more_cells_than_a_batch_keep_their_numbers_and_order() -> None:
    cells = [f"1391234{number % 10_000:04}" for number in range(20_003)]
    lines = command("phone", give="\n".join(cells).encode()).lines
    assert [line["row"] for line in lines] == list(range(1, 20_004))
    assert [line["number"] for line in lines[-4:]] == [f"+86{cell}" for cell in cells[-4:]]


def test_no_home_is_made(tmp_path: Path) -> None:
    assert command("phone", home=tmp_path / "home", give=b"1\n").status == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_text_is_refused_with_the_line(tmp_path: Path) -> None:
    said = command("phone", give=b"13812345678\n13912345678\n\xff13712345678\n")
    assert said.code == "encoding_invalid"
    assert "line 3 " in said.err
    assert "1371" not in said.out + said.err
    assert command("phone", give=b"1" * (2 << 20)).code == "limit_cell_chars"
    assert command("phone", tmp_path / "absent-13812345678").code == "file_missing"
    assert command("phone", tmp_path).code == "file_unreadable"
    assert command("phone", tmp_path / ("a" * 300)).code == "file_unreadable"
