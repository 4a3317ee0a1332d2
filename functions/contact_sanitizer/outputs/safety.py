"""Cells that a spreadsheet may open: quoted where RFC 4180 asks for it, and never run as a formula.

A cell that begins with `=`, `+`, `-`, `@`, TAB, CR or LF, or with a full-width form of the first
four (which Excel in East Asian settings treats alike), gets a leading apostrophe.
Source: OWASP, CSV Injection.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_STARTS: Final = "^[=+\\-@\t\r\n＝＋－＠]"


def _table(characters: bytes) -> NDArray[np.bool_]:
    table = np.zeros(256, bool)
    table[list(characters)] = True
    return table


# 0xEF leads the UTF-8 of the full-width forms; the regular expression then looks closely.
_SUSPECT_START: Final = _table(b"=+-@\t\r\n\xef")
_STRUCTURE: Final = (b",", b'"', b"\r", b"\n")


def bytes_of(cells: pa.StringArray) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """The UTF-8 bytes of all cells in a row, and the n+1 offsets of the cells in them."""
    _, offsets, data = cells.buffers()
    where: NDArray[np.int32] = np.frombuffer(offsets, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    flat = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return flat[where[0] : where[-1]], where - where[0]


def defuse(cells: pa.StringArray) -> pa.StringArray:
    """The same cells, none of which a spreadsheet would run."""
    flat, offsets = bytes_of(cells)
    starts = offsets[:-1][offsets[:-1] < offsets[1:]]
    if not len(starts) or not _SUSPECT_START[flat[starts]].any():
        return cells
    runs = pc.match_substring_regex(cells, _STARTS)
    return pc.if_else(runs, pc.binary_join_element_wise("'", cells, ""), cells)


def quote(cells: pa.StringArray) -> pa.StringArray:
    """The same cells as RFC 4180 fields: in quotes only where they hold a delimiter, quote or line end."""
    # looking for one byte at a time is many times as fast as looking each byte up
    content = bytes_of(cells)[0].tobytes()
    if not any(mark in content for mark in _STRUCTURE):
        return cells
    needs: Any = pc.match_substring_regex(cells, '[,"\r\n]')
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(cells, '"', '""'), '"', "")
    return pc.if_else(needs, quoted, cells)
