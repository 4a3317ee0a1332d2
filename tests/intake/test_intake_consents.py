"""Dates and the cells of consent columns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.intake.consentcells import ConsentCell, consent_codes
from contact_sanitizer.intake.dates import parse_moment, read_moment

NOW = int(datetime(2026, 6, 15, 12, tzinfo=UTC).timestamp())
MIDNIGHT = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp())
MORNING = MIDNIGHT + 9 * 3_600 + 5 * 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(
            (text, MIDNIGHT)
            for text in ("2024-01-02", "2024/1/2", "2024.1.2", "2024年1月2日", "20240102", "45293")
        ),
        *(
            (text, MORNING)
            for text in (
                "2024-01-02 09:05",
                "2024-1-2 9:05:00",
                "2024年1月2日 9时5分",
                "2024-01-02T09:05:00Z",
            )
        ),
        *(
            (text, MORNING)
            for text in (
                "2024-01-02T17:05:00+08:00",
                "２０２４-01-02 09:05",
                " 2024/1/2 9:05 ",
                "2024-01-02 09:05:00.5",
            )
        ),
        ("45293.5", MIDNIGHT + 43_200),
    ],
)
def test_dates_as_lists_write_them(text: str, seconds: int) -> None:
    assert parse_moment(text, NOW) == seconds


def test_serials_count_from_1904_where_the_workbook_says_so() -> None:
    assert parse_moment("43831", NOW, serials_from_1904=True) == MIDNIGHT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "是",
        "2024",
        "2024-13-01",
        "2024-02-30",
        "2024/1",
        "13812345678",
        "1.5",
        "2024-W01-1",
        "2024-01",
        "99999999",
        "10000",
        "2024-01-02 25:00",
        "20241301",
        "2024/1-2",
        "٢٠٢٤",
        "0000-00-00",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_moment(text, NOW) is None


@settings(derandomize=True, max_examples=150, deadline=None)
@given(text=st.text(max_size=20) | st.text(alphabet="0123456789-/.: TZ年月日+", max_size=26))
def test_reading_a_date_never_raises(text: str) -> None:
    moment = read_moment(text, NOW)
    assert moment is None or isinstance(moment.seconds, int)


def codes(*cells: str, max_age_days: int | None = 730) -> list[ConsentCell]:
    return [ConsentCell(code) for code in consent_codes(pa.array(cells, pa.string()), NOW, max_age_days)]


def test_words_of_consent_and_refusal() -> None:
    assert set(codes("是", "Y", "yes", " YES ", "1", "1.0", "true", "TRUE", "√", "同意", "已授权", "ｙ")) == {
        ConsentCell.YES
    }
    assert set(codes("否", "n", "No", "0", "0.0", "false", "不同意", "未同意", "拒绝")) == {ConsentCell.NO}
    assert set(codes("", "  ", "\u3000")) == {ConsentCell.BLANK}
    assert set(codes("maybe", "yes!", "是的吧", "2", "13812345678", "2024")) == {ConsentCell.UNKNOWN}


def test_dates_of_consent() -> None:
    def day(offset: float) -> str:
        return (datetime.fromtimestamp(NOW, UTC) + timedelta(days=offset)).isoformat()

    assert codes(day(-1), day(0), day(-729.9)) == [ConsentCell.YES] * 3
    assert codes(day(-730.1), day(-9_000)) == [ConsentCell.EXPIRED] * 2
    assert codes(day(-9_000), max_age_days=None) == [ConsentCell.YES]
    assert codes(day(0.001), day(400)) == [ConsentCell.FUTURE] * 2


def test_today_is_no_future_anywhere_on_earth() -> None:
    assert codes("2026-06-15", "2026-06-16 01:00", "2026-06-16 03:00") == [
        ConsentCell.YES,
        ConsentCell.YES,
        ConsentCell.FUTURE,
    ]


def test_codes_keep_the_order_of_the_cells() -> None:
    cells = ["是", "否", "", "x"] * 1_000
    expected = [ConsentCell.YES, ConsentCell.NO, ConsentCell.BLANK, ConsentCell.UNKNOWN] * 1_000
    assert codes(*cells) == expected
    assert codes() == []
