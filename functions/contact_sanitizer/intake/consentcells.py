"""What the cells of columns of consents and of refusals say, for a whole batch."""

from __future__ import annotations

import unicodedata
from enum import IntEnum

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.intake.dates import read_moment


class ConsentCell(IntEnum):
    """What one cell says. Only `YES` is consent; `UNKNOWN` is worth a warning."""

    YES = 0
    NO = 1
    BLANK = 2
    UNKNOWN = 3
    EXPIRED = 4
    FUTURE = 5


_YES = frozenset({"是", "y", "yes", "1", "true", "√", "✓", "✔", "同意", "已同意", "已授权"})
_NO = frozenset(
    {
        "否",
        "n",
        "no",
        "0",
        "false",
        "×",
        "✗",
        "✘",
        "不同意",
        "未同意",
        "拒绝",
        "未授权",
        "退订",
        "已退订",
        "拒收",
        "勿扰",
        "取消",
        "已取消",
    }
    | {"opt out", "opted out", "opt-out", "unsubscribed", "unsubscribe", "stop", "withdrawn", "revoked"}
)
_NO_REFUSAL = frozenset(
    {"否", "n", "no", "0", "false", "×", "✗", "✘", "未退订", "未拒收", "正常", "无", "不是"}
) | {
    *("-", "--", "/", "\\", "na", "n/a", "none", "null", "nil", "active", "subscribed", "opted in", "opt in"),
}
_DAY = 86_400
_WIDEST_OFFSET = 14 * 3_600
"""A moment without offset, written anywhere on Earth, is at most so far ahead of the same words in UTC."""


def consent_codes(cells: pa.StringArray, now: int, max_age_days: int | None) -> NDArray[np.uint8]:
    """One `ConsentCell` a cell.

    `now`: seconds since 1970. A date says yes since then: `FUTURE` where it lies ahead, `EXPIRED` where it is
    older than `max_age_days` (None: no date is too old).
    """
    coded = cells.dictionary_encode()
    codes = np.array(
        [_code(text, now, max_age_days) for text in coded.dictionary.to_pylist()], dtype=np.uint8
    )
    places: NDArray[np.int32] = coded.indices.to_numpy(zero_copy_only=False)
    return codes[places]


def refused(cells: pa.StringArray) -> NDArray[np.bool_]:
    """Whether each cell of a column of refusals (`退订`, `opted out`) states one.

    A word that is not understood counts as a refusal, a date too (that of the refusal); only a blank cell or
    a plain no does not.
    """
    coded = cells.dictionary_encode()
    said = np.array(
        [_word(text) not in _NO_REFUSAL | {""} for text in coded.dictionary.to_pylist()], np.bool_
    )
    places: NDArray[np.int32] = coded.indices.to_numpy(zero_copy_only=False)
    return said[places]


def _word(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip().casefold().removesuffix(".0")


def _code(text: str, now: int, max_age_days: int | None) -> ConsentCell:
    word = _word(text)
    if not word:
        return ConsentCell.BLANK
    if word in _YES:
        return ConsentCell.YES
    if word in _NO:
        return ConsentCell.NO
    return _dated(word, now, max_age_days)


def _dated(text: str, now: int, max_age_days: int | None) -> ConsentCell:
    # case-folding took ISO 8601 its T and Z
    moment = read_moment(text.upper(), now)
    if moment is None:
        return ConsentCell.UNKNOWN
    if moment.seconds - (0 if moment.zoned else _WIDEST_OFFSET) > now:
        return ConsentCell.FUTURE
    if max_age_days is not None and now - moment.seconds > max_age_days * _DAY:
        return ConsentCell.EXPIRED
    return ConsentCell.YES
