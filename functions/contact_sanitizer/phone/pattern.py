r"""The regular expressions of libphonenumber's metadata, parsed: a finite language over decimal digits.

Accepted are exactly the constructs that the metadata uses: digits, `\d`, classes of digits and ranges,
groups (capturing or not), alternation, `?`, `{m}` and `{m,n}`. Anything else is refused, so that a
construct that a later release introduces stops the build rather than being misread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

ALL_DIGITS = frozenset(range(10))


class PatternError(ValueError):
    """A regular expression uses a construct that the metadata has not used so far (build time only)."""


@dataclass(frozen=True, slots=True)
class Digit:
    """Any one of some digits."""

    digits: frozenset[int]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Its parts, one after the other; no parts: the empty string."""

    parts: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any one of its options."""

    options: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Between `least` and `most` copies of one pattern."""

    pattern: Pattern
    least: int
    most: int


Pattern = Digit | Sequence | Choice | Repeat


def parse_pattern(text: str) -> Pattern:
    """The language of a metadata expression, as `re.fullmatch` would accept it; PatternError otherwise."""
    reader = _Reader(text)
    pattern = reader.choice()
    if not reader.at_end():
        raise reader.error()
    return pattern


def literals(pattern: Pattern, limit: int) -> list[str] | None:
    """All strings of a language in the order of its options, or None where there are more than `limit`."""
    if _count(pattern) > limit:
        return None
    return list(_strings(pattern))


def _count(pattern: Pattern) -> int:
    match pattern:
        case Digit(digits):
            return len(digits)
        case Choice(options):
            return sum(map(_count, options))
        case Repeat(inner, least, most):
            return sum(_count(inner) ** times for times in range(least, most + 1))
        case Sequence(parts):
            total = 1
            for part in parts:
                total *= _count(part)
            return total


def _strings(pattern: Pattern) -> Iterator[str]:
    match pattern:
        case Digit(digits):
            yield from (str(digit) for digit in sorted(digits))
        case Choice(options):
            for option in options:
                yield from _strings(option)
        case Repeat(inner, least, most):
            for times in range(least, most + 1):
                yield from _strings(Sequence((inner,) * times))
        case Sequence(parts):
            yield from ("".join(strings) for strings in product(*(list(_strings(part)) for part in parts)))


class _Reader:
    """A recursive-descent reader over one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def error(self) -> PatternError:
        return PatternError(f"unsupported construct at position {self._at} of {self._text!r}")

    def choice(self) -> Pattern:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Pattern:
        parts: list[Pattern] = []
        while not self.at_end() and self._peek() not in "|)":
            parts.append(self._repeated(self._atom()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self) -> Pattern:
        if self._take("(?:") or self._take("("):
            inner = self.choice()
            self._expect(")")
            return inner
        if self._take("["):
            return Digit(frozenset(self._members()))
        if self._take("\\d"):
            return Digit(ALL_DIGITS)
        return Digit(frozenset({self._digit()}))

    def _members(self) -> Iterator[int]:
        while not self._take("]"):
            if self._take("\\d"):
                yield from ALL_DIGITS
                continue
            first = self._digit()
            last = self._digit() if self._take("-") else first
            yield from range(first, last + 1)

    def _repeated(self, atom: Pattern) -> Pattern:
        if self._take("?"):
            return Repeat(atom, 0, 1)
        if not self._take("{"):
            return atom
        least = self._number()
        most = self._number() if self._take(",") else least
        self._expect("}")
        return Repeat(atom, least, most)

    def _number(self) -> int:
        start = self._at
        while not self.at_end() and self._peek() in "0123456789":
            self._at += 1
        if start == self._at:
            raise self.error()
        return int(self._text[start : self._at])

    def _digit(self) -> int:
        if self.at_end() or self._peek() not in "0123456789":
            raise self.error()
        self._at += 1
        return int(self._text[self._at - 1])

    def _peek(self) -> str:
        return self._text[self._at]

    def _take(self, token: str) -> bool:
        if not self._text.startswith(token, self._at):
            return False
        self._at += len(token)
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise self.error()
