"""One spelling for the many characters with which people write the same digit, hyphen or space.

Unicode compatibility forms (NFKD) fold together, decimal digits of all scripts become 0-9, invisible
characters vanish, and hyphens, dots, brackets, quotes and spaces become ASCII ones. A character that
only looks like a digit or whose digits are decoration (superscript, circled, `1.` in one character)
becomes U+FFFD, which belongs to no number.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

BROKEN: Final = "\ufffd"
"""What a character that cannot be read becomes."""

_MEMO_LIMIT = 20_000

_SAME = {
    "-": "~∼−ー─━╌﹘⁃➖",
    ".": "·・∙⋅‧。˙٫",
    "'": "‘’‚‛`´ʼʹ′",
    '"': "“”„‟″«»",
    "(": "[{<【〔〈《「『〖",
    ")": "]}>】〕〉》」』〗",
    "+": "➕",
    "/": "∕⁄",
    "|": "¦丨",
    ",": "،﹑",
    "\n": "\r\v\f\x85\u2028\u2029",
    " ": "\t",
}
_FOLDED = {ord(char): ascii_form for ascii_form, chars in _SAME.items() for char in chars}
_ASCII_FOLDED = re.compile(r"[\[\]{}<>~`]")
_SPACES = re.compile(r" {2,}")


class _Folding(dict[int, str]):
    """A translation table that works out each character once; it forgets nothing and stays bounded."""

    def __missing__(self, code: int) -> str:
        folded = _fold_character(chr(code))
        if len(self) < _MEMO_LIMIT:
            self[code] = folded
        return folded


_FOLDING = _Folding()


def fold(cell: str) -> str:
    r"""The cell in folded, case-folded characters, without outer space and repeated spaces.

    Line breaks of all kinds become `\n`. Promises: every decimal digit of the result is ASCII, and came
    from one decimal digit of the cell.
    """
    if not (cell.isascii() and cell.isprintable()) or _ASCII_FOLDED.search(cell):
        cell = cell.translate(_FOLDING)
    if "  " in cell:
        cell = _SPACES.sub(" ", cell)
    return cell.strip().casefold()


def _fold_character(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    if char in "\n\r\v\f\t\x85":
        return _FOLDED.get(ord(char), char)
    category = unicodedata.category(char)
    if category in {"Cc", "Cf", "Mn", "Me"}:
        return ""
    if category in {"Cs", "Co", "Cn"}:
        return BROKEN
    folded = "".join(map(_fold_part, unicodedata.normalize("NFKD", char)))
    return BROKEN if any(map(str.isdecimal, folded)) else folded


def _fold_part(char: str) -> str:
    if ord(char) in _FOLDED:
        return _FOLDED[ord(char)]
    category = unicodedata.category(char)
    if category in {"Mn", "Me", "Cf"}:
        return ""
    return {"Pd": "-", "Zs": " ", "Zl": "\n", "Zp": "\n"}.get(category, char)
