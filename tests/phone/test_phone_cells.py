from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.phone.cells import CellReader, Reading
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.reasons import Reason

MOBILE = frozenset({NumberKind.MOBILE})
ANY_KIND = frozenset(NumberKind) - {NumberKind.NONE}
ONE = "+8613812345678"
DESIGN_CELLS = Path(__file__).with_name("data") / "phone_cells.csv"


@cache
def reader(
    region: str = "CN", kinds: frozenset[NumberKind] = MOBILE, *, placeholders: bool = True
) -> CellReader:
    return CellReader(load_plan(), NumberRules(region, kinds, frozenset(), placeholders))


def outcome(cell: str, region: str = "CN") -> str:
    reading = reader(region).read(cell)
    return reading.reason.word if reading.reason else "+" + reading.digits


def outcomes(cells: list[str]) -> dict[str, str]:
    return {cell: outcome(cell) for cell in cells}


def design_rows() -> list[tuple[str, str, str]]:
    with DESIGN_CELLS.open(encoding="utf-8", newline="") as source:
        return [(row["cell"], row["default_region"], row["expected"]) for row in csv.DictReader(source)]


def test_every_cell_of_the_design_has_its_answer() -> None:
    rows = design_rows()
    assert len(rows) > 60
    assert [(*row[:2], outcome(row[0], row[1])) for row in rows] == rows


STATE_ONE_NUMBER = {
    "labels": [
        "手机:13812345678", "Tel: 13812345678", "电话：13812345678", "mobile 13812345678", "M:13812345678",
        "No.13812345678", "手机1:13812345678", "phone=13812345678", "家 010-64812345 手机 13812345678",
    ],
    "notes": [
        "138 1234 5678（家）", "13812345678 / 微信同号", "13812345678 - 张三", "张三13812345678",
        "John 13812345678", "13812345678 ZHANG SAN", "13812345678 (WeChat)", "13812345678 微信/QQ同号",
        "13812345678-home", "📱13812345678", "13812345678😀", "13812345678 QQ:123456",
    ],
    "countries": [
        "086-13812345678", "(86)13812345678", "+86(0)13812345678", "8613812345678", "008613812345678",
        "0086 138-1234-5678", "86+13812345678", "00+8613812345678", "+86+8613812345678", "++8613812345678",
        "+860086138 1234 5678", "17951-0138-1234-5678", "(+86 13812345678)",
    ],
    "links": ["tel:+8613812345678", "whatsapp:+8613812345678", "sms:13812345678", "https://wa.me/8613812345678"],
    "spreadsheets": [
        "13812345678.00", "1.3812345678e10", "'13812345678", '="13812345678"', "13,812,345,678",
        '"+8613812345678"', '\ufeff"13812345678"',
    ],
    "characters": [
        "＋８６　１３８－１２３４－５６７８", "١٣٨١٢٣٤٥٦٧٨", "१३८१२३४५६७८",
        "1381234\u00ad5678", "138\u00a01234\u00a05678",
               "1\ufe0f\u20e33\ufe0f\u20e38\ufe0f\u20e312345678",
        "138１２３４5678", "138_1234_5678", "138•1234•5678",
        "<13812345678>", "[13812345678]", "13812345678。", "13812345678\r\n", "138--1234--5678",
        "1 3 8 1 2 3 4 5 6 7 8", "-13812345678", "`13812345678", "13812345678,", "138\u20601234\u200b5678",
    ],
    "repetitions": ["13812345678、13812345678", "13812345678  +8613812345678", "13812345678 / 138-1234-5678"],
    "fixed lines beside it": ["+86-138-1234-5678 / 010-64812345", "13812345678或010-64812345"],
}  # fmt: skip

REFUSALS = {
    Reason.EMPTY: ["", "   ", "\u200b\ufeff", "'", '""', "\t\r\n"],
    Reason.FORMULA: [
        "=1+1", "@SUM(A1)", "+cmd", "-A1", "＝1+1", "＝HYPERLINK(1)", '="13812345678"&""', "'=13812345678",
        "\t=13812345678", '="=13812345678"',
    ],
    Reason.PLACEHOLDER: [
        "无", "没有", "暂无", "空", "未知", "N/A", "null", "None", "nil", "-", "--", "/", "0", "00000000000",
        "000-0000-0000", "test", "测试", "TBD", "unknown", "#N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NAME?",
        "#NULL!", "?", "(null)", "no phone", "なし", "없음", "12345678901", "01234567890",
        "98765432109", "11111111111",
        "+8613888888888", "86 138 0013 8000", "8612345678901", "88888888",
    ],
    Reason.MASKED: [
        "138••••5678", "138___5678", "138 xxxx 5678", "1381234****", "****5678", "138????5678", "138…5678",
        "*******", "•••", "* * *", "138×××5678", "138某某某某5678", "1381234567?",
        "138----5678", "138-****-5678",
    ],
    Reason.EXCEL_OVERFLOW: ["####", "##", "＃＃＃＃"],
    Reason.SCI_NOTATION_LOSSY: [
        "1.38123E+10", "1.381234567E+10", "138E+8", "1,38E+10", "1E10",
        "1.38123456789E+10",
    ],
    Reason.NATIONAL_ID: ["身份证:110101199003077715", "11010519491231002X", "110105 19491231 002x"],
    Reason.BANK_CARD: ["6228 4804 0256 4890 018", "4012-8888-8888-1881"],
    Reason.MULTIPLE_NUMBERS: [
        "13812345678\n13912345679", "138-1234-5678,139-1234-5679",
        "13812345678/79", "13812345678 13912345679",
        "13812345678 或 13912345679", "13812345678 and 13912345679", "13812345678李四13912345679",
        "手机1：13812345678 手机2：13912345679", "13812345678（备用13912345679）", "13812345678(13912345679)",
        "13812345678|13912345679", "13812345678&13912345679", "13812345678\\13912345679",
        "13812345678+13912345679", "13812345678转13912345679", "+8613812345678、+85291234567",
        "13812345678 / 1391234567", "86 +85291234567",
    ],
    Reason.EXTENSION: [
        "13812345678转123", "13812345678 分机 12", "13812345678 ext 23", "13812345678x12", "13812345678p12",
        "+8613812345678;ext=12", "13812345678,12", "13812345678(2号)", "138 1234 5678 2", "13812345678 # 12",
        "13812345678 内线 801", "13812345678#12元",
    ],
    Reason.INVALID_CHARS: [
        "①3812345678", "1381234567²", "一三八一二三四五六七八", "138一2345678", "138I2345678", "13O12345678",
        "13812345678o", "O13812345678", "138 I 2345678", "M13812345678", "1381234567Ａ", "1381234\ufffd678",
        "1-888-555-CALL", "微信号abc123 13812345678", "138О2345678",
    ],
    Reason.NOT_A_PHONE: [
        "2024-01-01", "2024/1/1", "1990年7月7日", "2024-01-01 12:30:00", "12:30", "31.12.1999", "1-Jan-2024",
        "¥199.00", "199.50", "45292.5", "a.b@c.com",
        "13812345678@139.com", "张三", "John Smith", "QQ:123456789",
        "订单号:13812345678", "13812345678元", "3栋2单元501", "https://example.com/13812345678", "36526",
        "13812345678 " + "备注" * 200,
    ],
    Reason.TOO_SHORT: ["138 1234 567", "+8612345", "9999", "张三 1381234567"],
    Reason.TOO_LONG: [
        "138-1234-56789", "861381234567890", "138123456789", "1234513812345678", "10912345678",
    ],
    Reason.INVALID_RANGE: ["+13812345678", "861381234567", "15412345678"],
    Reason.INVALID_COUNTRY_CODE: ["+999123456", "+0138 1234 5678"],
    Reason.SHORT_CODE: ["10086", "12345", "110", "客服 10086"],
    Reason.FIXED_LINE: ["0755-26712345", "0755/26712345", "fax 010-64812345", "+86 (010) 6481 2345"],
}  # fmt: skip


@pytest.mark.parametrize("how", STATE_ONE_NUMBER)
def test_one_number_is_read_through_all_that_people_write_around_it(how: str) -> None:
    cells = STATE_ONE_NUMBER[how]
    assert outcomes(cells) == dict.fromkeys(cells, ONE)


@pytest.mark.parametrize("reason", REFUSALS, ids=lambda reason: str(reason.word))
def test_cells_that_do_not_state_exactly_one_number_are_refused_with_their_reason(reason: Reason) -> None:
    cells = REFUSALS[reason]
    assert outcomes(cells) == dict.fromkeys(cells, reason.word)


REFUSAL_NOTES = [
    "DNC 13812345678", "13812345678 do not call", "13812345678 don't call", "已退订13812345678",
    "13812345678 (不要打)", "13812345678 不要再打电话了", "13812345678 opt-out", "13812345678 UNSUBSCRIBED",
    "13812345678【勿扰】", "13812345678 拒收", "13812345678黑名单", "13812345678 请勿联系", "STOP13812345678",
    "13812345678 退訂", "13812345678 ｄｎｃ", "13812345678/退订", "13812345678.0 退订", '="13812345678退订"',
    "=退订13812345678", "13812345678 désabonné", "13812345678 nicht anrufen", "13812345678 не звонить",
    "13812345678 수신거부", "13812345678 配信停止", "13812345678-1234 投诉", "13812345678别打",
    "13812345678 Opted  out",
    "138-1234-5678 не\u0301 звонить", "wa.me/8613812345678 no sms",
]  # fmt: skip


@pytest.mark.parametrize("cell", REFUSAL_NOTES, ids=range(len(REFUSAL_NOTES)))
def test_a_note_of_refusal_wins_and_gives_the_number_to_suppress(cell: str) -> None:
    reading = reader().read(cell)
    assert (reading.reason, reading.refused) == (Reason.OPT_OUT_NOTE, ("8613812345678",))
    assert reading.digits == ""


def test_a_note_of_refusal_gives_every_number_of_its_cell_whatever_the_kind() -> None:
    cell = "退订 13812345678、010-64812345;13800138000 或 +1 415-555-2671 1391234567"
    assert reader().read(cell).refused == ("8613812345678", "861064812345", "8613800138000", "14155552671")


def test_a_note_of_refusal_without_a_number_is_one_all_the_same() -> None:
    assert reader().read("stop") == Reading(Reason.OPT_OUT_NOTE)
    assert reader().read("138****5678 退订") == Reading(Reason.OPT_OUT_NOTE)


def test_words_of_refusal_inside_other_words_are_none() -> None:
    cells = ["Stopford 13812345678", "Baja-Ltd 13812345678", "Notcall 13812345678", "Dndung 13812345678"]
    assert [reader().read(cell).reason is Reason.OPT_OUT_NOTE for cell in cells] == [
        False,
        True,
        False,
        False,
    ]


ELSEWHERE = [
    ("0171/1234567", "DE", "+491711234567"), ("030/23456789", "DE", "fixed_line"),
    ("+49 (0) 171 1234567", "DE", "+491711234567"), ("06/12/34/56/78", "FR", "+33612345678"),
    ("06.12.34.56.78", "FR", "+33612345678"), ("0033 6 12 34 56 78", "FR", "+33612345678"),
    ("011 44 7911 123456", "US", "+447911123456"), ("(415) 555-2671", "US", "+14155552671"),
    ("1-415-555-2671", "US", "+14155552671"), ("415/555-2671", "US", "+14155552671"),
    ("+1 1 415 555 2671", "US", "+14155552671"), ("1-800-FLOWERS", "US", "invalid_chars"),
    ("1 800 356 9377", "US", "toll_free"), ("911", "US", "short_code"),
    ("044 55 1234 5678", "MX", "+525512345678"), ("+5215512345678", "CN", "+525512345678"),
    ("5215512345678", "MX", "+525512345678"), ("01 55 1234 5678", "MX", "+525512345678"),
    ("0 15 11 91234-5678", "BR", "+5511912345678"), ("(11) 91234-5678", "BR", "+5511912345678"),
    ("0055 11 91234 5678", "BR", "+5511912345678"), ("0014 1 415 555 2671", "BR", "+14155552671"),
    ("011 15-2345-6789", "AR", "+5491123456789"), ("11 15 2345 6789", "AR", "+5491123456789"),
    ("+54 11 15 2345 6789", "US", "+5491123456789"), ("+54 9 11 15 2345 6789", "AR", "+5491123456789"),
    ("0341 15 512 3456", "AR", "+5493415123456"), ("8 029 491-19-11", "BY", "+375294911911"),
    ("8 912 345-67-89", "RU", "+79123456789"), ("+7 8 912 345-67-89", "RU", "+79123456789"),
    ("810 44 7911 123456", "RU", "+447911123456"), ("8 612 34567", "LT", "+37061234567"),
    ("+44(0)7911123456", "US", "+447911123456"), ("9,87,65,43,210", "IN", "+919876543210"),
    ("0011 44 7911 123456", "AU", "+447911123456"), ("+61 (0) 412 345 678", "AU", "+61412345678"),
    ("+81 (0)90-1234-5678", "JP", "+819012345678"), ("+82 010 1234 5678", "KR", "+821012345678"),
    ("06 30 123 4567", "HU", "+36301234567"), ("13812345678", "US", "invalid_range"),
    ("+86 138 1234 5678", "US", ONE), ("86 138 1234 5678", "US", "too_long"),
    ("+39 (0) 2 1234 5678", "IT", "fixed_line"),
]  # fmt: skip


def test_other_countries_are_read_as_their_people_write() -> None:
    assert [(cell, region, outcome(cell, region)) for cell, region, _ in ELSEWHERE] == ELSEWHERE


def test_a_country_that_a_cell_states_is_never_replaced_by_the_default_region() -> None:
    assert outcome("+1 381 234 5678") == "invalid_range"
    assert outcome("+44 13812345678") == "too_long"


def test_two_readings_of_a_way_abroad_are_refused() -> None:
    assert outcome("+55 34 91234 5678", "BR") == "+5534912345678"
    assert outcome("+34 912 345 678", "BR") == "fixed_line"
    assert outcome("0055 34 91234 5678", "BR") == "invalid_country_code"


def test_placeholder_numbers_pass_where_the_policy_lets_them() -> None:
    lenient = reader(placeholders=False)
    assert lenient.read("13800138000").digits == "8613800138000"
    assert lenient.read("11111111111").reason is not Reason.PLACEHOLDER
    assert lenient.read("无").reason is Reason.PLACEHOLDER


def test_a_number_refused_for_what_it_is_keeps_its_digits_kind_and_region() -> None:
    reading = reader().read("010-64812345")
    assert (reading.reason, reading.digits) == (Reason.FIXED_LINE, "861064812345")
    assert (reading.kind, reading.region) == (NumberKind.FIXED_LINE, "CN")


def test_a_service_port_of_more_than_fifteen_digits_has_no_digits() -> None:
    assert reader().read("10657500001112345") == Reading(
        Reason.SERVICE_PORT, "", NumberKind.SERVICE_PORT, "CN"
    )


def test_the_kind_is_judged_before_the_region() -> None:
    rules = NumberRules("CN", MOBILE, frozenset({"CN"}), placeholders=True)
    strict = CellReader(load_plan(), rules)
    assert strict.read("+852 9123 4567").reason is Reason.REGION_NOT_ALLOWED
    assert strict.read("+852 2123 4567").reason is Reason.FIXED_LINE
    assert strict.read("13812345678").reason is Reason.NONE


def test_a_number_that_may_be_mobile_counts_as_mobile_and_a_wanted_fixed_line_is_kept() -> None:
    assert outcome("+1 415 555 2671") == "+14155552671"
    wide = reader("CN", MOBILE | {NumberKind.FIXED_LINE})
    assert wide.read("010-64812345").reason is Reason.NONE
    assert wide.read("13812345678、010-64812345").reason is Reason.MULTIPLE_NUMBERS


def test_rules_without_mobile_numbers_or_with_an_unknown_region_cannot_be_made() -> None:
    with pytest.raises(PolicyError, match="policy_invalid"):
        NumberRules("CN", frozenset({NumberKind.FIXED_LINE}), frozenset(), placeholders=True)
    rules = NumberRules("XX", MOBILE, frozenset(), placeholders=True)
    with pytest.raises(PolicyError, match="policy_invalid"):
        CellReader(load_plan(), rules)


def test_every_kind_that_a_list_may_not_want_has_its_reason() -> None:
    refusals = [kind.refusal for kind in NumberKind if kind not in {NumberKind.NONE, NumberKind.MOBILE}]
    assert all(refusals)
    assert [kind.word for kind in (NumberKind.MOBILE, NumberKind.IOT)] == ["mobile", "iot"]


def test_a_reading_shows_nothing_of_its_cell() -> None:
    reading = reader("CN", ANY_KIND).read("+86 138 1234 5678")
    shown = f"{reading!r} {reading!s} {reading}"
    assert "138" not in shown
    assert "none" in shown


def test_very_long_cells_are_refused_and_their_refusals_still_heard() -> None:
    assert outcome("1" + " " * 30000 + "x") == "invalid_chars"
    assert outcome("1 2 " * 5000) == "not_a_phone"
    assert outcome("张" * 30000 + "13812345678退订") == "opt_out_note"
