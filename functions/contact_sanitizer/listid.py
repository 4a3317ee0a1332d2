"""Ids that sort by time: 26 characters of Crockford's base 32, as in the ULID specification."""

from __future__ import annotations

import re
from typing import Final, NewType

ListId = NewType("ListId", str)

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FORM = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")


def sortable_id(at: int, randomness: bytes) -> ListId:
    """The id for a moment (`at`, milliseconds since 1970 UTC) and 10 random bytes."""
    number = (at << 80) | int.from_bytes(randomness[:10].rjust(10, b"\0"))
    return ListId("".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)))


def moment_of(list_id: ListId) -> int:
    """The moment that an id begins with: milliseconds since 1970 UTC."""
    number = 0
    for character in list_id:
        number = number << 5 | _ALPHABET.index(character)
    return number >> 80


def parse_list_id(text: str) -> ListId | None:
    """`text` as an id, or None where it is not exactly one."""
    return ListId(text) if _FORM.match(text) else None
