"""Mutated files of every format through the whole job: a list, or one of our errors; never anything else."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from contact_sanitizer.errors import ContactSanitizerError
from desk import agree, policy, run, workspace
from files import FORMATS

COUNT = int(os.environ.get("CONTACT_SANITIZER_FUZZ", "400"))
ROWS = [
    ("13812345671", "是"),
    ("+86 138-1234-5672", "否"),
    ("无", ""),
    ('a"b,c\nd', "?"),
    ("１３８１２３４５６７３", "是"),
] * 8
PIECES = [
    b'"',
    b"\n",
    b"\r",
    b"\0",
    b",",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\t",
    b"=",
    b"PK\3\4",
    b"{",
    b"\x1f\x8b",
]


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The data with one to four faults: flipped, cut, doubled, inserted or swapped bytes."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(broken) + 1) if broken else 0
        kind = chance.randrange(5)
        if kind == 0 and at < len(broken):
            broken[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del broken[at : at + chance.choice([1, 7, len(broken)])]
        elif kind == 2:
            broken[at:at] = broken[max(0, at - chance.randint(1, 40)) : at]
        elif kind == 3:
            broken[at:at] = chance.choice(PIECES) * chance.choice([1, 1, 3])
        else:
            broken[at : at + 8] = broken[at : at + 8][::-1]
    return bytes(broken)


@pytest.mark.parametrize("part", range(4))
def test_a_mutated_file_is_read_or_refused_and_nothing_else(part: int, tmp_path: Path) -> None:
    chance = random.Random(f"files {part}")  # noqa: S311 - faults from a seed
    place = workspace(tmp_path / "home")
    agree(place, ["13812345671"])
    whole = {name: write(ROWS) for name, (write, _) in FORMATS.items()}
    rules = policy(("evidence: registry", "evidence: either"))
    outcomes: Counter[str] = Counter()
    for number in range(COUNT // 4):
        name = chance.choice(list(FORMATS))
        upload = tmp_path / name
        upload.write_bytes(mutated(chance, whole[name]))
        try:
            counts = run(place, upload, rules, tmp_path / "out").manifest.counts
            assert counts.rows == counts.kept + counts.dropped + counts.rejected
            outcomes["read"] += 1
        except ContactSanitizerError as error:
            outcomes[error.code] += 1
        except BaseException as error:  # noqa: BLE001 - whatever else comes is the finding
            raise AssertionError(f"{type(error).__name__} at file {number} of part {part}") from None
    assert outcomes["read"] > 0
    assert len(outcomes) > 3
