"""A text as a reader sees its digits: one width, one script, nothing hidden between them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_HIDDEN = frozenset({"Cf", "Mn", "Me"})  # zero-width and bidi characters, combining and enclosing marks


@dataclass(frozen=True, slots=True, repr=False)
class PlainText:
    """`text` in NFKC character by character, decimal digits of all scripts as ASCII, hidden characters gone.

    `starts[i]`: where the original has the character that `text[i]` came from; one more for the end.
    """

    text: str
    starts: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's characters behind `text[start:end]` (not empty), hidden ones after them included."""
        return self.starts[start], max(self.starts[end - 1] + 1, self.starts[end])

    def __repr__(self) -> str:
        return f"PlainText({len(self.text)} characters)"


def plain_text(text: str) -> PlainText:
    """`text` as a `PlainText`."""
    if text.isascii():
        return PlainText(text, range(len(text) + 1))
    chars: list[str] = []
    starts: list[int] = []
    for position, char in enumerate(text):
        if unicodedata.category(char) not in _HIDDEN:
            shown = [_digit_as_ascii(one) for one in unicodedata.normalize("NFKC", char)]
            chars += shown
            starts += [position] * len(shown)
    return PlainText("".join(chars), [*starts, len(text)])


def _digit_as_ascii(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    return char if digit is None else str(digit)
