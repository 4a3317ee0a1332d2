"""Resident IDs and bank cards among texts that are nothing but a long number: many texts at once.

Columns of order numbers are common, and 16 to 19 digits is how long those are. Nine in ten are neither
card nor ID, which needs no look at each of them.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_DOUBLED = np.array((0, 2, 4, 6, 8, 1, 3, 5, 7, 9), np.int64)
_OLD_ID_LENGTH = 15
_ID_LENGTH = 18
_CARD_LENGTHS = range(16, 20)


# 15 to 19 digits and nothing else, without those that a phone's international prefix or a carrier's
# access code begins: `00`, `101`, `125`, `179`.
LONG_NUMBER = r"\A(?:[2-9][0-9][0-9]|1[13-689][0-9]|10[02-9]|12[0-46-9]|17[0-8])[0-9]{12,16}\z"


def may_be_identity(numbers: pa.StringArray) -> NDArray[np.bool_]:
    """For each of n texts that match `LONG_NUMBER` whether it may be an ID or a card.

    Never false for what `pii.is_resident_id` or `pii.is_card` affirms; rarely true for anything else but
    numbers that begin with a date.
    """
    maybe = np.zeros(len(numbers), np.bool_)
    lengths = pc.binary_length(numbers).to_numpy(zero_copy_only=False)
    for length in (_OLD_ID_LENGTH, *_CARD_LENGTHS):
        rows = np.flatnonzero(lengths == length)
        if len(rows):
            maybe[rows] = _maybe_of_length(_digits(numbers.take(pa.array(rows)), length))
    return maybe


def _maybe_of_length(digits: NDArray[np.int64]) -> NDArray[np.bool_]:
    length = digits.shape[1]
    if length == _OLD_ID_LENGTH:
        return _is_month_and_day(digits[:, 8:12])
    luhn = digits[:, ::-2].sum(axis=1) + _DOUBLED[digits[:, -2::-2]].sum(axis=1)
    maybe: NDArray[np.bool_] = luhn % 10 == 0
    if length == _ID_LENGTH:
        century = digits[:, 6] * 10 + digits[:, 7]
        maybe |= (century >= 18) & (century <= 20) & _is_month_and_day(digits[:, 10:14])
    return maybe


def _is_month_and_day(digits: NDArray[np.int64]) -> NDArray[np.bool_]:
    month = digits[:, 0] * 10 + digits[:, 1]
    day = digits[:, 2] * 10 + digits[:, 3]
    return (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)


def _digits(numbers: pa.StringArray, length: int) -> NDArray[np.int64]:
    text = np.frombuffer(numbers.buffers()[2], np.uint8)[: len(numbers) * length]
    return (text.reshape(-1, length) - np.uint8(ord("0"))).astype(np.int64)
