"""The scan of kept columns: PII that found its way into a cell leaves it, at the speed of the columns.

Three sieves, each of which lets through everything that `pii.find_pii` would find (a property holds
them to it): a count of digits over the column's bytes, RE2 over the cells that remain, and
only then the search of each distinct cell; columns of order numbers have a fourth (`long_numbers`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contact_sanitizer.protection import pii
from contact_sanitizer.protection.long_numbers import LONG_NUMBER, may_be_identity

_ENOUGH = 7  # no number that is looked for has fewer digits
_AT_SIGN = 9  # weighs as much as enough digits
_FIRST_LEAD = 0xC2
_CJK_LEADS = range(0xE4, 0xEA)  # U+4000 to U+9FFF: the bulk of Chinese text, no digits among it
_FULL_WIDTH = (0xEF, 0xBC)

# Characters beyond ASCII that are decimal digits, or turn into digits or `@` under NFKC, by the first two
# bytes of their UTF-8 form: the most digits that one of them turns into. U+FF00 to U+FF3F is apart,
# because full-width commas are everywhere. A test compares all of Unicode.
_WEIGHTS: Mapping[int, str] = {
    1: "c2b2 c2b3 c2b9 d9a0-a9 dbb0-b9 df80-89 e0a5 e0a7 e0a9 e0ab e0ad e0af e0b1 e0b3 e0b5 e0b7 e0b9 e0bb "
    "e0bc e181 e182 e19f e1a0 e1a5 e1a7 e1aa e1ad e1ae e1b1 e281 e282 e293 e38e ea98 eaa3 eaa4 eaa7 eaa9 "
    "eaaf f090 f091 f096 f09c f09d f09e f09f",
    2: "c2bc-be e286 e291 e292 e389 e38a e38b e38d e38f",
    3: "e285",
    _AT_SIGN: "efb9",
}

# Columns of phones or addresses that a policy keeps by mistake: no need to look at each cell. What
# these match, `find_pii` finds as one piece.
_WHOLE_CELL = {
    pii.PiiKind.PHONE: r"\A(?:(?:\+|00)?86)?1[3-9][0-9]{9}\z",
    pii.PiiKind.EMAIL: r"\A[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}\z",
}


def redact_cells(cells: pa.StringArray) -> tuple[pa.StringArray, Mapping[str, int]]:
    """The cells (n strings, no nulls) with PII replaced by `[phone]`, `[id]`, `[card]`, `[email]`.

    Beside them how often each kind was replaced, kinds that did not occur left out. What counts as
    PII, and the trade-off: see `pii`.
    """
    rows = _rows_with_enough(cells)
    if len(rows):
        rows = rows[_is_suspect(cells.take(pa.array(rows)))]
    if not len(rows):
        return cells, {}
    texts, open_cells, counts = _redact_whole_cells(cells.take(pa.array(rows)))
    searched, found = _search(texts.filter(pa.array(open_cells)))
    counts.update(found)
    if not counts:
        return cells, {}
    mask = np.zeros(len(cells), np.bool_)
    mask[rows] = True
    redacted = pc.replace_with_mask(texts, pa.array(open_cells), searched)
    return pc.replace_with_mask(cells, pa.array(mask), redacted), dict(counts)


def _redact_whole_cells(texts: pa.StringArray) -> tuple[pa.StringArray, NDArray[np.bool_], Counter[str]]:
    """The texts that are one plain number or address redacted, which ones are not, and the counts."""
    rest = np.ones(len(texts), np.bool_)
    counts: Counter[str] = Counter()
    for kind, pattern in _WHOLE_CELL.items():
        whole = _bools(pc.match_substring_regex(texts, pattern))
        if whole.any():
            counts[kind.value] = int(np.count_nonzero(whole))
            texts = pc.if_else(pa.array(whole), kind.marker, texts)
            rest &= ~whole
    return texts, rest, counts


def _search(texts: pa.StringArray) -> tuple[pa.StringArray, Counter[str]]:
    """The texts redacted cell by cell, each distinct one once, and the counts."""
    distinct = texts.dictionary_encode()
    redacted, kinds = _redact_distinct(distinct.dictionary)
    counts: Counter[str] = Counter()
    for index, often in enumerate(np.bincount(distinct.indices.to_numpy()).tolist()):
        for kind in kinds.get(index, ()):
            counts[kind.value] += often
    return redacted.take(distinct.indices), counts


def _redact_distinct(texts: pa.StringArray) -> tuple[pa.StringArray, Mapping[int, tuple[pii.PiiKind, ...]]]:
    """The texts redacted, and the kinds found in those texts that held any."""
    mask = _is_worth_a_look(texts)
    kinds = {}
    replacements = []
    for index in np.flatnonzero(mask).tolist():
        text, found = pii.redact_text(texts[index].as_py())
        replacements.append(text)
        if found:
            kinds[index] = found
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(replacements, pa.string())), kinds


def _is_suspect(texts: pa.StringArray) -> NDArray[np.bool_]:
    return _bools(pc.match_substring_regex(pc.utf8_normalize(texts, form="NFKC"), _SUSPECT))


def _is_worth_a_look(texts: pa.StringArray) -> NDArray[np.bool_]:
    """False for texts that are a long number, and neither card nor ID."""
    worth = np.ones(len(texts), np.bool_)
    numbers = np.flatnonzero(_bools(pc.match_substring_regex(texts, LONG_NUMBER)))
    worth[numbers] = may_be_identity(texts.take(pa.array(numbers)))
    return worth


def _bools(values: pa.BooleanArray) -> NDArray[np.bool_]:
    bools: NDArray[np.bool_] = values.to_numpy(zero_copy_only=False)
    return bools


def _rows_with_enough(cells: pa.StringArray) -> NDArray[np.int64]:
    """The rows that hold an `@` or digits enough for a number, perhaps some more."""
    if not len(cells) or cells.buffers()[2] is None:
        return np.empty(0, np.int64)
    offsets = np.frombuffer(cells.buffers()[1], np.int32)[cells.offset : cells.offset + len(cells) + 1]
    weights = _byte_weights(np.frombuffer(cells.buffers()[2], np.uint8)[offsets[0] : offsets[-1]])
    if not weights.any():
        return np.empty(0, np.int64)
    lengths = np.diff(offsets)
    filled = np.flatnonzero(lengths)
    narrow = int(lengths.max()) <= np.iinfo(np.uint8).max // _AT_SIGN
    sums = np.add.reduceat(weights, offsets[filled] - offsets[0], dtype=np.uint8 if narrow else np.uint32)
    rows: NDArray[np.int64] = filled[sums >= _ENOUGH]
    return rows


def _byte_weights(text: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For each byte of UTF-8 text how many digits begin there at most; `_AT_SIGN` for an `@`."""
    weights = ((text - np.uint8(ord("0"))) < np.uint8(10)).view(np.uint8)
    at_signs = text == ord("@")
    if at_signs.any():
        weights[at_signs] = _AT_SIGN
    lead = text >= _FIRST_LEAD
    lead &= (text - np.uint8(_CJK_LEADS.start)) >= np.uint8(len(_CJK_LEADS))
    places = np.flatnonzero(lead)
    if len(places):
        first, second = text[places], text[places + 1]
        weights[places] = _PAIR_WEIGHTS[first, second]
        wide = places[(first == _FULL_WIDTH[0]) & (second == _FULL_WIDTH[1])]
        weights[wide] = _FULL_WIDTH_WEIGHTS[text[wide + 2]]
    return weights


def _pair_weights() -> NDArray[np.uint8]:
    table = np.zeros((256, 256), np.uint8)
    for weight, pairs in _WEIGHTS.items():
        for pair in pairs.split():
            lead, first, *last = bytes.fromhex(pair.replace("-", ""))
            table[lead, first : (last or [first])[0] + 1] = weight
    return table


def _full_width_weights() -> NDArray[np.uint8]:
    table = np.zeros(256, np.uint8)
    table[0x90:0x9A] = 1  # U+FF10 to U+FF19
    table[0xA0] = _AT_SIGN  # U+FF20
    return table


def _suspect_pattern() -> str:
    """One RE2 pattern that matches the NFKC form of every text in which `find_pii` finds something.

    Hidden characters and digits of other scripts are not sorted out here: they always match.
    """
    bounded = (
        pii.CHINESE_MOBILE,
        pii.CHINESE_MOBILE_IN_GROUPS,
        pii.CHINESE_LANDLINE,
        pii.CHINESE_LANDLINE_ABROAD,
        pii.NORTH_AMERICAN,
        pii.INTERNATIONAL_BY_PREFIX,
    )
    long_number = rf"[0-9](?:{pii.PIECE_GAP}[0-9]){{13}}"
    hidden, other_scripts = r"[\p{Cf}\p{Mn}\p{Me}]", r"[^\P{Nd}0-9]"
    others = ("@", long_number, pii.INTERNATIONAL, pii.PHONE_LABEL, hidden, other_scripts)
    return rf"(?:^|[^0-9])(?:{'|'.join(bounded)})(?:$|[^0-9])|{'|'.join(others)}"


_PAIR_WEIGHTS = _pair_weights()
_FULL_WIDTH_WEIGHTS = _full_width_weights()
_SUSPECT = _suspect_pattern()
