"""A clean list is read as lines where each record is one, and says the same as its cells."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.delivery.cleanlines import CleanLines, whole_lines
from contact_sanitizer.delivery.cleanlist import CleanList, CleanRows
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.errors import OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.clean import LineWriter, clean_writer
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.outputs.manifest import OutputFile
from contact_sanitizer.policy import Policy
from contact_sanitizer.ports import ListSink
from contact_sanitizer.protection.digests import note_digest
from counter import PHONES, Counter, column
from desk import policy

LIST_ID: Final = ListId("01M80NV11696N25EQG3FGNM0B5")
TEXTS: Final = st.text(st.sampled_from("ab京,\"'=\n\r\\ {}"), max_size=6)
PLAIN: Final = st.text(st.sampled_from("ab京'"), max_size=9)


@dataclass
class MemoryFile:
    """Implements `Source`."""

    name: str
    content: bytes

    def open(self) -> BinaryIO:
        return io.BytesIO(self.content)


@dataclass
class MemoryShelf:
    """Implements `ListShelf` for one list that is there."""

    content: bytes
    stated: dict[str, object] = field(default_factory=dict)
    place: str = "memory"

    def manifest(self, list_id: ListId) -> bytes:
        assert list_id == LIST_ID
        return json.dumps({"outputs": [self.stated]}).encode()

    def file(self, list_id: ListId, name: str) -> MemoryFile:
        assert (list_id, name) == (LIST_ID, self.stated["name"])
        return MemoryFile(name, self.content)

    def where(self, list_id: ListId) -> str:
        return list_id

    def begin(self, list_id: ListId) -> ListSink:
        raise AssertionError(list_id)


class Kept(io.BytesIO):
    """What was written is still there after `close`."""

    def close(self) -> None:
        """Nothing."""


def tokens_of(rows: int, first: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Texts of a token's form, all different."""
    texts = b"".join(b"ct_%050d" % (first + row) for row in range(rows))
    return np.frombuffer(texts, np.uint8).reshape(-1, 53)


def strings(cells: Sequence[str]) -> pa.StringArray:
    return pa.array(cells, pa.string())


def written(format_name: str, columns: Sequence[Sequence[str]]) -> MemoryShelf:
    """A list with tokens 0, 1, … and these columns, as a job writes it."""
    target, beside = Kept(), note_digest()
    file = DigestingFile(target, sync=lambda: None)
    file.take_beside(beside)
    names = [f"列{number}" for number in range(len(columns))]
    writer = clean_writer(format_name, file, names)
    rows = len(columns[0]) if columns else 3
    writer.write(tokens_of(rows), [strings(cells) for cells in columns])
    writer.finish()
    stated = OutputFile.clean(f"clean.{format_name}", file, beside, rows)
    return MemoryShelf(target.getvalue(), {name: getattr(stated, name) for name in OutputFile.__slots__})


def keeping_cities(format_name: str) -> Policy:
    """Lists with nothing but tokens and cells as they were."""
    return policy(
        ("  phone: {role: phone}\n", "  phone: {role: phone}\n  city: {do: keep}\n"),
        ("format: csv", f"format: {format_name}"),
    )


def list_in(shelf: MemoryShelf, columns: int, piece_bytes: int = 1 << 20) -> CleanList:
    names = [f"列{number}" for number in range(columns)]
    manifest = shelf.manifest(LIST_ID)
    return CleanList(shelf, LIST_ID, manifest, str(shelf.stated["name"])[6:], names, piece_bytes)


@given(
    st.sampled_from(["csv", "jsonl"]),
    st.lists(st.one_of(st.tuples(TEXTS, TEXTS), st.tuples(PLAIN, PLAIN)), max_size=25),
    st.integers(1, 900),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_lines_with_other_tokens_are_what_a_writer_makes_of_the_cells(
    format_name: str, rows: list[tuple[str, str]], piece_bytes: int
) -> None:
    columns = [[row[0] for row in rows], [row[1] for row in rows]]
    shelf = written(format_name, columns)
    clean = list_in(shelf, 2, piece_bytes)
    by_line, by_cell = Kept(), Kept()
    one = clean_writer(format_name, DigestingFile(by_line), clean.columns)
    other = clean_writer(format_name, DigestingFile(by_cell), clean.columns)
    first = 0
    for part in clean.parts():
        kept = np.array([(7 * row + piece_bytes) % 3 > 0 for row in range(len(part))], np.bool_)
        tokens = tokens_of(int(kept.sum()), 1000 + first)
        cells = clean.cells(part)
        if isinstance(part, CleanLines):
            # read after rows were taken out, as a delivery in another format does
            some = clean.cells(part.only(kept))
            assert [some.tokens, *some.columns] == [cells.only(kept).tokens, *cells.only(kept).columns]
        assert cells.tokens.to_pylist() == [bytes(row).decode() for row in tokens_of(len(part), first)]
        other.write(tokens, cells.only(kept).columns)
        if isinstance(part, CleanLines):
            assert isinstance(one, LineWriter)
            assert (part.tokens == tokens_of(len(part), first)).all()
            assert len(part.only(kept)) == kept.sum()
            one.write_lines(part.only(kept).with_tokens(tokens))
        else:
            one.write(tokens, part.only(kept).columns)
        first += len(part)
    one.finish()
    other.finish()
    assert by_line.getvalue() == by_cell.getvalue()
    assert first == len(rows)


@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("columns", [0, 1])
def test_cells_are_those_that_were_written(format_name: str, columns: int) -> None:
    cities = ["北京", "a,b\nc", 'say "x"']
    clean = list_in(written(format_name, [cities][:columns]), columns)
    rows = list(clean.rows())
    assert [token for part in rows for token in part.tokens.to_pylist()] == [
        bytes(token).decode() for token in tokens_of(3)
    ]
    for part in rows:
        assert isinstance(part, CleanRows)
        assert [cells.to_pylist() for cells in part.columns] == [cities][:columns]


def test_only_a_block_with_quotes_is_read_into_cells() -> None:
    cells = ["a"] * 40 + ['"'] + ["b"] * 40
    kinds = [type(part) for part in list_in(written("csv", [cells]), 1, 600).parts()]
    assert kinds.count(CleanRows) == 1
    assert kinds.count(CleanLines) > 4
    # in JSON a line end is never raw
    assert {type(part) for part in list_in(written("jsonl", [cells]), 1, 600).parts()} == {CleanLines}


@given(
    st.lists(st.sampled_from(["ab", '"', "\n", "京"]), max_size=40), st.lists(st.integers(0, 60), max_size=9)
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_blocks_end_with_records_wherever_pieces_end(parts: list[str], cuts: list[int]) -> None:
    text = ("".join(parts) + "\n").encode()
    if text.count(b'"') % 2:
        text = text[:-1] + b'"\n'
    bounds = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    blocks = list(whole_lines((text[one:other] for one, other in pairwise(bounds)), quoted=True))
    assert b"".join(blocks) == text
    assert all(block.endswith(b"\n") and block.count(b'"') % 2 == 0 for block in blocks)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"token,\xe5\x88\x970",
        b"token,other\n" + b"ct_" + b"0" * 50 + b",a\n",
        "token,列0\n".encode() + b"ct_" + b"0" * 50 + b",a",
        "token,列0\n".encode() + b"ct_" + b"0" * 50 + b"\n",
        "token,列0\n".encode() + b"ct_" + b"0" * 51 + b",a\n",
        "token,列0\n".encode() + b"ct_\n",
        "token,列0\n".encode() + b'ct_",a\n',
    ],
)
@pytest.mark.parametrize("format_name", ["csv", "jsonl"])
def test_what_no_job_wrote_is_damage(format_name: str, content: bytes) -> None:
    shelf = written(format_name, [["a"]])
    shelf.content = content
    with pytest.raises(OutputError, match=r"^(?!.*ct_)") as refused:
        list(list_in(shelf, 1).rows())
    assert refused.value.code == "list_damaged"


@pytest.mark.parametrize("digest", ["blake3", "sha256"])
@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
def test_a_changed_byte_is_noticed_by_either_digest(format_name: str, digest: str) -> None:
    shelf = written(format_name, [["a", "b"]])
    if digest == "sha256":
        del shelf.stated["blake3"]
    assert sum(map(len, list_in(shelf, 1).rows())) == 2
    place = shelf.content.rindex(b"a") if format_name != "parquet" else 4
    shelf.content = shelf.content[:place] + b"c" + shelf.content[place + 1 :]
    with pytest.raises(OutputError) as refused:
        list(list_in(shelf, 1).rows())
    assert refused.value.code == "list_damaged"


@pytest.mark.parametrize("format_name", ["csv", "jsonl"])
def test_a_delivery_in_the_lists_own_format_says_what_one_in_another_says(
    format_name: str, counter: Counter
) -> None:
    list_id = counter.made(keeping_cities(format_name))
    counter.sender()
    counter.block(PHONES[3])
    _, own = counter.deliver(list_id, format=format_name)
    _, other = counter.deliver(list_id, format="parquet")
    assert len(column(own, "token")) == 9
    for name in ("token", "city"):
        assert column(own, name) == column(other, name)


@pytest.mark.parametrize("made_as", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("wish", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("form", [Form.TOKEN, Form.HASH])
def test_a_list_of_which_nobody_is_left_is_delivered_as_such_in_any_form(
    made_as: str, wish: str, form: Form, counter: Counter
) -> None:
    list_id = counter.made(keeping_cities(made_as))
    counter.sender()
    for phone in PHONES:
        counter.block(phone)
    made, out = counter.deliver(list_id, format=wish, form=form)
    assert (made.delivery.rows, column(out, form.value)) == (0, [])
