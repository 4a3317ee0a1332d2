"""Where the header is, and which column is which."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.columns import ColumnSeen, ColumnWish
from contact_sanitizer.intake.headers import known_role, normal_header, wished_headers
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.records import is_blank
from contact_sanitizer.policy_words import Role

SAMPLE_RECORDS = 100
"""How many records the decisions rest on."""

_HEADER_SEARCH = 20
_MOSTLY = 0.6
_TOKEN = re.compile(r"ct_[A-Za-z0-9_-]{47}")
_PHONE_CHARS = re.compile(r"[+()\-. \t/0-9']+")
_DATE = re.compile(r"(?:19|20)\d\d([-/. ]?)[01]?\d\1[0-3]?\d(?:[ T].*)?")

Sample = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a file are.

    `header`: the header's index in the sample, None where there is none; `width`: cells a record; `bound`:
    wish name to column index; `columns`: every column of the file.
    """

    header: int | None
    width: int
    bound: dict[str, int]
    columns: tuple[ColumnSeen, ...]


def decide_layout(sample: Sample, wishes: Sequence[ColumnWish], limits: Limits, *, named: bool) -> Layout:
    """The layout for these wishes, from the file's first records (blank ones included).

    `named`: the first record holds the names that the format itself gives to its columns.
    Raises: `file_empty`, `phone_column_missing`, `phone_column_ambiguous`, `column_missing`,
    `column_ambiguous`, `already_sanitized`, `limit_columns`, `limit_header_chars`.
    """
    header = _require_records(sample, wishes, named=named)
    width = _width(sample, header)
    limits.check_columns(width)
    names = _checked_names(sample, header, limits)
    found = {wish.name: _matches(wish, names) for wish in wishes}
    if header is None:
        _bind_without_header(sample, wishes, found)
    _refuse_tokens(sample, wishes, found, header)
    bound = {wish.name: column for wish in wishes if (column := _one(wish, found[wish.name])) is not None}
    return Layout(header, width, bound, _seen(names, width, wishes, bound))


def survey_layout(sample: Sample, limits: Limits, *, named: bool) -> Layout:
    """The layout as far as it can be guessed without wishes; ambiguity is shown, not refused."""
    wishes = [ColumnWish("phone", Role.PHONE), ColumnWish("consent", Role.CONSENT, optional=True)]
    header = _require_records(sample, wishes, named=named)
    if header is None:
        header = _first_wordy(sample)
    width = _width(sample, header)
    limits.check_columns(width)
    names = _checked_names(sample, header, limits)
    roles = [known_role(name) for name in names]
    if Role.PHONE not in roles:
        looks = phone_columns(_data(sample, header), width)
        roles = [Role.PHONE if index in looks else role for index, role in enumerate(roles)]
    columns = (ColumnSeen(index, roles[index], None, names[index]) for index in range(width))
    return Layout(header, width, {}, tuple(columns))


def find_header(sample: Sample, wishes: Sequence[ColumnWish]) -> int | None:
    """The index of the first record that names the phone column.

    Without such a wish (or such a record) the first that satisfies most wishes; None where none does any.
    """
    phone = [wish for wish in wishes if wish.role is Role.PHONE]
    # What heads a column of refusals stands in many a cell too.
    others = [wish for wish in wishes if wish.role is not Role.REFUSAL]
    for wanted in (phone, others):
        scores = [_satisfied(cells, wanted) for cells in _search(sample)]
        if any(scores):
            return scores.index(max(scores))
    return None


def phone_columns(sample: Sample, width: int) -> list[int]:
    """The columns whose cells mostly look like phone numbers."""
    return [index for index in range(width) if _mostly(sample, index, _looks_like_phone)]


def _search(sample: Sample) -> Sample:
    seen = 0
    for index, cells in enumerate(sample):
        seen += not is_blank(cells)
        if seen > _HEADER_SEARCH:
            return sample[:index]
    return sample


def _require_records(sample: Sample, wishes: Sequence[ColumnWish], *, named: bool) -> int | None:
    if all(is_blank(cells) for cells in sample):
        raise IntakeError("file_empty", "the file holds no record")
    return 0 if named else find_header(sample, wishes)


def _satisfied(cells: Sequence[str], wishes: Sequence[ColumnWish]) -> int:
    forms = {normal_header(cell) for cell in cells if len(cell) <= 1000}
    return sum(not forms.isdisjoint(wished_headers(wish)) for wish in wishes)


def _width(sample: Sample, header: int | None) -> int:
    if header is not None:
        return len(sample[header])
    return Counter(len(cells) for cells in sample if not is_blank(cells)).most_common(1)[0][0]


def _checked_names(sample: Sample, header: int | None, limits: Limits) -> Sequence[str]:
    if header is None:
        return [""] * _width(sample, header)
    names = sample[header]
    if any(len(name) > limits.max_header_chars for name in names):
        raise IntakeError(
            "limit_header_chars", f"a header is longer than {limits.max_header_chars} characters"
        )
    return names


def _matches(wish: ColumnWish, names: Sequence[str]) -> list[int]:
    wanted = wished_headers(wish)
    return [index for index, name in enumerate(names) if name and normal_header(name) in wanted]


def _bind_without_header(sample: Sample, wishes: Sequence[ColumnWish], found: dict[str, list[int]]) -> None:
    width = _width(sample, None)
    if width > 1 and _first_wordy(sample) is not None:
        return
    looks = phone_columns(_data(sample, None), width)
    for wish in wishes:
        if wish.role is Role.PHONE and not wish.headers:
            found[wish.name] = looks


def _first_wordy(sample: Sample) -> int | None:
    """The first record, where it holds words alone: then it is a header that nobody knows."""
    first = next(index for index, cells in enumerate(sample) if not is_blank(cells))
    wordy = all(sum(char.isdigit() for char in cell) < 5 for cell in sample[first])
    return first if wordy and len(sample[first]) == _width(sample, None) else None


def _data(sample: Sample, header: int | None) -> Sample:
    return sample if header is None else sample[header + 1 :]


def _mostly(sample: Sample, column: int, looks: Callable[[str], object]) -> bool:
    cells = [cells[column].strip() for cells in sample if len(cells) > column]
    full = [cell for cell in cells if cell]
    return bool(full) and sum(bool(looks(cell)) for cell in full) >= _MOSTLY * len(full)


def _looks_like_phone(cell: str) -> bool:
    plain = unicodedata.normalize("NFKC", cell).strip().removesuffix(".0")
    digits = sum(char.isdigit() for char in plain)
    return 7 <= digits <= 15 and bool(_PHONE_CHARS.fullmatch(plain)) and not _DATE.fullmatch(plain)


def _refuse_tokens(
    sample: Sample, wishes: Sequence[ColumnWish], found: dict[str, list[int]], header: int | None
) -> None:
    phone = [wish for wish in wishes if wish.role is Role.PHONE]
    if not phone:
        return
    columns = {column for wish in phone for column in found[wish.name]}
    looked = columns or range(_width(sample, header))
    if any(_mostly(_data(sample, header), column, _TOKEN.fullmatch) for column in looked):
        raise IntakeError(
            "already_sanitized", "the file holds tokens: it is a list that was already made here"
        )


def _one(wish: ColumnWish, columns: Sequence[int]) -> int | None:
    if len(columns) == 1:
        return columns[0]
    if columns:
        places = ", ".join(str(column + 1) for column in columns)
        if wish.role is Role.PHONE:
            raise IntakeError("phone_column_ambiguous", f"columns {places} could each be the phone column")
        raise IntakeError("column_ambiguous", f"columns {places} could each be the column {wish.name}")
    if wish.optional:
        return None
    if wish.role is Role.PHONE and not wish.headers:
        raise IntakeError(
            "phone_column_missing", "no column has a known phone header: name its header in the policy (from)"
        )
    raise IntakeError("column_missing", f"the file has no column for {wish.name}")


def _seen(
    names: Sequence[str], width: int, wishes: Sequence[ColumnWish], bound: dict[str, int]
) -> tuple[ColumnSeen, ...]:
    chosen = {bound[wish.name]: wish for wish in reversed(wishes) if wish.name in bound}
    return tuple(
        ColumnSeen(index, wish.role, wish.name, names[index])
        if (wish := chosen.get(index))
        else ColumnSeen(index, known_role(names[index]), None, names[index])
        for index in range(width)
    )
