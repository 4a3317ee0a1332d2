"""What people type into a required field when they have no number.

Two closed sets: words (`is_placeholder_text`) and numbers (`is_placeholder_number`). The number rules
are plain rules on digits, so that whole columns can be judged by them.
"""

from __future__ import annotations

import re

from contact_sanitizer.phone.characters import fold

EQUAL_TAIL = 8
"""A national number that ends in this many equal digits is nobody's."""

SHORTEST_EQUAL = 7
"""The shortest national number of equal digits that is nobody's (zeros: any length)."""

SHORTEST_COUNT = 11
"""The shortest national number that counts up or down in whole; ten digits are real (+91 9876543210)."""

NATIONAL_NUMBERS = frozenset({"13800138000", "12345678910"})
"""National numbers that are nobody's by name: China Mobile's top-up line, and counting past nine."""

_UP = "0123456789" * 4
_DOWN = _UP[::-1]

_LISTED = r"""
    无 無 没有 沒有 没 沒 暂无 暂無 暂缺 暂时没有 空 空号 空白 未知 不详 不詳 未填 未填写 未提供 未留
    待补 待定 待补充 不知道 不清楚 保密 匿名 默认 测试 測試 测试号 测试号码 号码 无号码 无电话 没有电话
    无手机 同上 见备注 手机 手机号 手机号码 电话 电话号码 联系电话 联系方式
    нет неизвестно n/a n.a. n.a na n/d nv null none nil nan nat undefined missing blank empty void unknown
    unk tbd tbc tba todo test testing tester dummy sample example fake placeholder default phone tel
    telephone mobile number no_phone nophone no-phone not_available same asdf qwerty xxx xxxx abc false true
    ninguno sin keine kein aucun nessuno nenhum \n
    なし 無し 不明 未定 없음 미정
"""
_WORDS = frozenset(_LISTED.split()) | frozenset(map(fold, _LISTED.split()))
_PHRASES = frozenset(
    {"not available", "not provided", "not applicable", "no phone", "no number", "no mobile", "not known"}
)
_SPREADSHEET_ERROR = re.compile(r"#[a-z][a-z/_0]*[!?]?")


def is_placeholder_text(text: str) -> bool:
    """True for a case-folded text that stands for no number: a word, an error value or bare punctuation."""
    if text in _WORDS or text in _PHRASES or _SPREADSHEET_ERROR.fullmatch(text):
        return True
    core = text.strip(" .!?-()[]\"'")
    return core in _WORDS or core in _PHRASES or not any(map(str.isalnum, core))


def is_placeholder_number(national: str) -> bool:
    """True for a national number (ASCII digits) that nobody has.

    All zeros; equal digits over `SHORTEST_EQUAL`; `EQUAL_TAIL` equal digits at the end; counting up or
    down by one (nine and zero are neighbours) over `SHORTEST_COUNT`; or one of `NATIONAL_NUMBERS`.
    """
    length = len(national)
    if not national:
        return False
    last = national[-1]
    alike = length - len(national.rstrip(last))
    if alike >= EQUAL_TAIL or (alike == length and (last == "0" or length >= SHORTEST_EQUAL)):
        return True
    if length < SHORTEST_COUNT:
        return False
    return national in NATIONAL_NUMBERS or national in _UP or national in _DOWN
