from __future__ import annotations

import numpy as np
import pytest

from contact_sanitizer.phone.characters import fold
from contact_sanitizer.phone.transcoding import to_ascii

UNKNOWN = "\x7f"


def transcoded(texts: list[str]) -> list[str]:
    parts = [text.encode() for text in texts]
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    data = np.frombuffer(b"".join(parts), dtype=np.uint8)
    folded, starts, new_lengths = to_ascii(data, np.cumsum(lengths) - lengths, lengths)
    return [
        bytes(folded[start : start + length]).decode("ascii")
        for start, length in zip(starts.tolist(), new_lengths.tolist(), strict=True)
    ]


def test_every_character_is_folded_as_single_cells_are_or_marked_as_unknown() -> None:
    characters = [chr(code) for code in range(0x80, 0x110000, 1) if not 0xD800 <= code < 0xE000]
    characters = characters[:0x3100] + characters[0x4000::97]
    known = 0
    for character, found in zip(
        characters, transcoded(["1" + each + "2" for each in characters]), strict=True
    ):
        if UNKNOWN not in found:
            assert found == fold("1" + character + "2")
            known += 1
    assert known > 60


def test_digits_signs_and_invisible_marks_of_lists_are_known() -> None:
    texts = [
        "１２３",
        "＋８６（１０）",
        "1\u00a02",
        "1\u30002",
        "\ufeff1",
        "\u202d1\u202c",
        "1\u20102",
        "1\u2013\u2014 2",
    ]
    assert transcoded(texts) == ["123", "+86(10)", "1 2", "1 2", "1", "1", "1-2", "1-- 2"]


@pytest.mark.parametrize("text", ["张三", "１张", "\U0001f600", "é", "½", "②", "٣"])
def test_other_characters_leave_a_mark_that_is_no_digit(text: str) -> None:
    assert UNKNOWN in transcoded(["", text, ""])[1]


def test_empty_strings_stay_in_place() -> None:
    assert transcoded(["", "１", "", "x", ""]) == ["", "1", "", "x", ""]
