"""Made-up contact lists from a seed, as large as wanted, without a Python loop over rows.

The mix is the one that the figures speak of: 55 % plain, 10 % `+86`, 7 % `86`, 12 % with separators,
2 % `0086`, 2 % full-width, 2 % ending in `.0`, 5 % too short, 5 % numbers of another country; seven
columns, about 81 bytes a row. Other regions get the same shares in their own spellings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Strings: TypeAlias = pa.StringArray
CHUNK: Final = 250_000
HEADER: Final = "会员号,姓名,手机号,城市,注册时间,消费金额,备注\n"


@dataclass(frozen=True, slots=True)
class Country:
    """How mobile numbers look in one region.

    `starts`: beginnings of national numbers; `length`: digits of a national number; `spaced`: a
    spelling with separators, as pieces of the national number; `trunk`: the national prefix; `idd`: what
    is dialled before a country code (in Brazil that holds a carrier's code, so nobody writes it down).
    """

    region: str
    code: str
    starts: tuple[str, ...]
    length: int
    pieces: tuple[int, ...]
    separator: str
    trunk: str
    idd: str
    foreign: tuple[str, int]


_CN_STARTS = tuple(
    f"{p}{d}" for p in (130, 131, 135, 136, 137, 138, 139, 150, 152, 158, 180, 186, 189) for d in range(9)
)
COUNTRIES: Final = {
    "CN": Country("CN", "86", _CN_STARTS, 11, (3, 4, 4), "-", "", "00", ("+1212555", 4)),
    "US": Country(
        "US",
        "1",
        ("212736", "305674", "415626", "512472", "617482", "702366", "808536"),
        10,
        (3, 3, 4),
        "-",
        "1",
        "011",
        ("+4479112", 5),
    ),
    "IN": Country(
        "IN", "91", ("98765", "98201", "99001", "97690", "90080"), 10, (5, 5), " ", "0", "00", ("+1212555", 4)
    ),
    "GB": Country(
        "GB", "44", ("74001", "75201", "77101", "79501", "78501"), 10, (4, 6), " ", "0", "00", ("+1212555", 4)
    ),
    "BR": Country(
        "BR",
        "55",
        ("11961", "21981", "31991", "41988", "51993"),
        11,
        (2, 5, 4),
        "-",
        "0",
        "+",
        ("+1212555", 4),
    ),
    "DE": Country(
        "DE",
        "49",
        ("15123", "16012", "17012", "17612", "15221"),
        11,
        (3, 4, 4),
        " ",
        "0",
        "00",
        ("+1212555", 4),
    ),
}


def _digits(chance: np.random.Generator, count: int, width: int) -> Strings:
    """`count` random digit strings, none of which ends in eight equal digits (no placeholder)."""
    matrix = chance.integers(48, 58, (count, width), np.uint8)
    same = matrix[:, -1] == matrix[:, -2]
    matrix[same, -1] = 48 + (matrix[same, -1] - 47) % 10
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(matrix))


def _pick(chance: np.random.Generator, choices: tuple[str, ...], count: int) -> Strings:
    return pa.array(choices, pa.string()).take(pa.array(chance.integers(0, len(choices), count)))


def _join(*parts: object) -> Strings:
    return pc.binary_join_element_wise(*parts, "")


def _nationals(chance: np.random.Generator, country: Country, count: int) -> Strings:
    starts = _pick(chance, country.starts, count)
    return _join(starts, _digits(chance, count, country.length - len(country.starts[0])))


def _spaced(numbers: Strings, country: Country) -> Strings:
    pieces, at = [], 0
    for width in country.pieces:
        pieces.append(pc.utf8_slice_codeunits(numbers, at, at + width))
        at += width
    return pc.binary_join_element_wise(*pieces, country.separator)


def _full_width(numbers: Strings) -> Strings:
    for digit in range(10):
        numbers = pc.replace_substring(numbers, str(digit), chr(0xFF10 + digit))
    return numbers


def phones(chance: np.random.Generator, country: Country, count: int) -> Strings:
    """The phone column of `count` rows, in the mix of the module."""
    numbers = _nationals(chance, country, count)
    trunk = country.trunk if country.trunk != "1" else "1-"
    spellings: list[tuple[float, Callable[[], Strings]]] = [
        (0.55, lambda: numbers),
        (0.10, lambda: _join("+" + country.code, numbers)),
        (0.07, lambda: _join(country.code, numbers)),
        (0.12, lambda: _join(trunk, _spaced(numbers, country))),
        (0.02, lambda: _join(country.idd + country.code, numbers)),
        (0.02, lambda: _full_width(numbers)),
        (0.02, lambda: _join(numbers, ".0")),
        (0.05, lambda: pc.utf8_slice_codeunits(numbers, 0, country.length - 2)),
        (0.05, lambda: _join(country.foreign[0], _digits(chance, count, country.foreign[1]))),
    ]
    shares = np.array([share for share, _ in spellings])
    kind = chance.choice(len(spellings), count, p=shares / shares.sum())
    result = numbers
    for number, (_, spell) in enumerate(spellings[1:], 1):
        result = pc.if_else(pa.array(kind == number), spell(), result)
    return result


def hostile(chance: np.random.Generator, country: Country, count: int) -> Strings:
    """Phone cells that each need a close look: notes, labels, mask characters, letters, two numbers."""
    numbers = _nationals(chance, country, count)
    others = _nationals(chance, country, count)
    spellings = [
        _join(numbers, "(张三)"),
        _join("电话：", numbers),
        _join(numbers, " 微信同号"),
        _join(numbers, "/", others),
        _join(pc.utf8_slice_codeunits(numbers, 0, 3), "****", pc.utf8_slice_codeunits(numbers, 7, 11)),
        _join(numbers, " ext. 23"),
        _join("l", pc.utf8_slice_codeunits(numbers, 1)),
        _join(numbers, "(已退订)"),
    ]
    kind = chance.integers(0, len(spellings), count)
    result = spellings[0]
    for number, spelled in enumerate(spellings[1:], 1):
        result = pc.if_else(pa.array(kind == number), spelled, result)
    return result


_NAMES: Final = ("王晓明", "李娜", "张伟", "刘洋", "陈静", "杨帆", "赵敏", "黄磊", "周杰", "吴芳")
_CITIES: Final = ("上海", "北京", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆")
_NOTES: Final = ("", "老客户", "vip", "双十一", "门店登记", "first order")


def _chunk(chance: np.random.Generator, cells: Strings, first: int) -> Strings:
    count = len(cells)
    serial = pc.cast(pa.array(np.arange(first, first + count) + 10_000_000), pa.string())
    day = chance.integers(0, 900, count).astype("timedelta64[D]")
    dates = pc.cast(pa.array(np.datetime64("2024-01-01", "s") + day), pa.string())
    amount = _join(
        pc.cast(pa.array(chance.integers(10, 9999, count)), pa.string()), ".", _digits(chance, count, 2)
    )
    columns = [
        _join("CRM-2024", serial),
        _pick(chance, _NAMES, count),
        cells,
        _pick(chance, _CITIES, count),
        dates,
        amount,
    ]
    return pc.binary_join_element_wise(*columns, _join(_pick(chance, _NOTES, count), "\n"), ",")


def write_list(
    path: Path,
    rows: int,
    *,
    seed: int = 1,
    region: str = "CN",
    cells: Callable[[np.random.Generator, Country, int], Strings] = phones,
) -> None:
    """A list of `rows` rows at `path`; the same arguments give the same bytes."""
    chance = np.random.default_rng(seed)
    with path.open("wb") as file:
        file.write(HEADER.encode())
        for first in range(0, rows, CHUNK):
            column = cells(chance, COUNTRIES[region], min(CHUNK, rows - first))
            lines = _chunk(chance, column, first)
            file.write(
                memoryview(lines.buffers()[2])[: np.frombuffer(lines.buffers()[1], np.int32)[len(lines)]]
            )


def blocks_of(numbers: Strings, code: str) -> NDArray[np.uint8]:
    """The NUL-padded E.164 blocks (n, 16) of national numbers of one length."""
    text = _join(code, numbers)
    width = len(code) + len(numbers[0].as_py())
    data = np.frombuffer(text.buffers()[2], np.uint8)[: len(text) * width].reshape(-1, width)
    blocks = np.zeros((len(text), 16), np.uint8)
    blocks[:, :width] = data
    return blocks


def random_blocks(country: Country, count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Blocks of `count` made-up numbers of a country, in chunks."""
    chance = np.random.default_rng(seed)
    for first in range(0, count, CHUNK):
        yield blocks_of(_nationals(chance, country, min(CHUNK, count - first)), country.code)
