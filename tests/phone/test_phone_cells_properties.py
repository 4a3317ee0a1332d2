from __future__ import annotations

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.phone.cells import CellReader
from contact_sanitizer.phone.characters import fold
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.reasons import Reason

MOBILE = frozenset({NumberKind.MOBILE})
READERS = {
    region: CellReader(load_plan(), NumberRules(region, MOBILE, frozenset(), placeholders=True))
    for region in ("CN", "US", "DE", "BR", "IN")
}
WRITTEN = """
    13812345678 13912345679 138 1234 5678 +86 86 0 00 + 010 64812345 ( ) - / , ; 、 转 ext x # .0 . : 张三
    John 手机 QQ 一 o l ? * 2 12 微信 号 ² ① 年 月 ¥ % @ = and 或 95588 e E+10 1 & | _ … ２ tel: 元 w · − №
    card 4155552671 01711234567 11912345678 9876543210 退订 stop +1 +49
"""
FRAGMENTS = st.sampled_from(WRITTEN.split())
BLANKS = st.sampled_from(["", "", " ", "  ", "\n", "\t", "\u200b"])
MIXED = st.lists(st.tuples(FRAGMENTS, BLANKS).map("".join), max_size=7).map("".join)
REGION = st.sampled_from(sorted(READERS))
LONGEST_LEAD = 9


def known(digits: str) -> bool:
    """True where libphonenumber, or our one override that makes mobiles valid, calls the digits a number."""
    if digits.startswith("86149"):
        return True
    number = phonenumbers.parse("+" + digits)
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return phonenumbers.is_valid_number(number) and written == "+" + digits


@settings(derandomize=True, max_examples=600, deadline=None)
@given(cell=st.one_of(st.text(max_size=40), MIXED), region=REGION)
def test_reading_never_fails_and_gives_only_numbers(cell: str, region: str) -> None:
    reading = READERS[region].read(cell)
    if reading.reason is Reason.NONE:
        assert known(reading.digits)
        assert reading.kind in {NumberKind.MOBILE, NumberKind.FIXED_LINE_OR_MOBILE}
        assert reading.region
    assert all(known(digits) for digits in reading.refused if not digits.startswith("86"))
    assert bool(reading.refused) <= (reading.reason is Reason.OPT_OUT_NOTE)


@settings(derandomize=True, max_examples=600, deadline=None)
@given(fragments=st.lists(st.tuples(FRAGMENTS, BLANKS).map("".join), min_size=1, max_size=6))
def test_a_number_is_never_made_of_digits_from_two_places(fragments: list[str]) -> None:
    cell = "".join(fragments)
    reading = READERS["CN"].read(cell)
    if reading.reason is not Reason.NONE:
        return
    national = reading.digits.removeprefix("86").removeprefix("1")
    digits = "".join(filter(str.isdigit, fold(cell)))
    assert national in digits


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    lead=st.text(alphabet="0123456789", max_size=LONGEST_LEAD),
    tail=st.text(alphabet="0123456789", max_size=8),
)
def test_digits_joined_to_a_number_never_leave_that_number(lead: str, tail: str) -> None:
    reading = READERS["CN"].read(f"{lead}13812345678{tail}")
    if reading.reason is Reason.NONE and reading.digits == "8613812345678":
        assert tail == ""
        assert lead.lstrip("0") in {"", "86"} or lead[:3] in {"179", "125", "101", "086"}


@settings(derandomize=True, max_examples=300, deadline=None)
@given(cell=st.text(max_size=60))
def test_folded_text_is_stable_and_has_ascii_digits_only(cell: str) -> None:
    folded = fold(cell)
    assert fold(folded) == folded
    assert all(char.isascii() for char in folded if char.isdecimal())


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    before=st.text(alphabet="张李手机:： (（", max_size=6),
    after=st.text(alphabet="家微信同号) ）", max_size=6),
    note=st.sampled_from(["退订", "DNC", "拒收", "勿扰", "do not call"]),
)
def test_a_refusal_is_heard_wherever_it_stands(before: str, after: str, note: str) -> None:
    for cell in (f"{before}13812345678{after} {note}", f"{note} {before}13812345678{after}"):
        reading = READERS["CN"].read(cell)
        assert (reading.reason, reading.refused) == (Reason.OPT_OUT_NOTE, ("8613812345678",))
