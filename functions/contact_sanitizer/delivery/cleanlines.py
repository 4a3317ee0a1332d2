"""Lines of a clean list as they stand in its file.

Every token has one width and one place in its line. A list that is handed out in its own format is therefore
not read into cells and written again: a sender's tokens take the places of the list's own, and the rest of
each line stays byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.protection.token_text import TOKEN_CHARS

_LINE_END: Final = ord("\n")
_QUOTE: Final = b'"'
_TOKEN: Final = np.dtype(f"V{TOKEN_CHARS}")


@dataclass(frozen=True, slots=True, repr=False)
class CleanLines:
    """Some records of a clean list, one a line, each with its line end.

    `text` uint8: all of them; `starts` int64 (n,): where each one begins; `place`: where in a line
    its token stands.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    place: int

    @classmethod
    def of(cls, lines: bytes | memoryview, place: int, after: str) -> Self:
        """The lines of a text that ends with a line end.

        Raises `ValueError` where behind a token's place stands another character than `after`.
        """
        text = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(text == _LINE_END)
        starts = np.empty_like(ends)
        starts[0] = 0
        starts[1:] = ends[:-1] + 1
        behind = starts + (place + TOKEN_CHARS)
        if (behind > ends).any():
            raise ValueError("a line is too short for a token")
        if (text[behind] != ord(after)).any():
            raise ValueError("a line does not begin with a token")
        return cls(text, starts, place)

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        return f"CleanLines({len(self)})"

    @property
    def tokens(self) -> NDArray[np.uint8]:
        """The token of each line, ASCII (n, 53)."""
        text = _windows(self.text)[self.starts + self.place]
        return text.view(np.uint8).reshape(-1, TOKEN_CHARS)

    def only(self, kept: NDArray[np.bool_]) -> CleanLines:
        """Some of the lines, as a copy; `kept` bool (n,)."""
        bounds = np.append(self.starts, len(self.text))
        turns = np.flatnonzero(np.diff(kept, prepend=False, append=False))
        pieces = [
            self.text[bounds[first] : bounds[last]]
            for first, last in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)
        ]
        starts = np.zeros(int(kept.sum()), np.int64)
        np.cumsum(np.diff(bounds)[kept][:-1], out=starts[1:])
        return CleanLines(np.concatenate([self.text[:0], *pieces]), starts, self.place)

    def with_tokens(self, tokens: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The text with other tokens (n, 53) in the places of the lines' own."""
        text = self.text.copy()
        _windows(text)[self.starts + self.place] = np.ascontiguousarray(tokens).view(_TOKEN).ravel()
        return text


def _windows(text: NDArray[np.uint8]) -> NDArray[np.void]:
    """What would be a token at each place of the text: items that overlap."""
    return np.ndarray(max(len(text) - TOKEN_CHARS + 1, 0), _TOKEN, text, 0, (1,))


def whole_lines(pieces: Iterable[bytes], *, quoted: bool) -> Iterator[bytes]:
    """The same text in blocks of whole lines; with `quoted`, a line end within quotes ends none.

    Raises `ValueError` where the last line has no end.
    """
    rest = b""
    for piece in pieces:
        cut = _last_end(rest, piece, quoted=quoted)
        if cut:
            yield b"".join((rest, memoryview(piece)[: cut - len(rest)]))
        rest = piece[cut - len(rest) :] if cut else rest + piece
    if rest:
        raise ValueError("the last line has no end")


def _last_end(rest: bytes, piece: bytes, *, quoted: bool) -> int:
    """Where the last line ends that is whole in `rest` and `piece`; 0 where none is."""
    if not quoted or not (_QUOTE in rest or _QUOTE in piece):
        found = piece.rfind(b"\n") + 1
        return len(rest) + found if found else 0
    text = np.frombuffer(rest + piece, np.uint8)
    ends, quotes = np.flatnonzero(text == _LINE_END), np.flatnonzero(text == ord(_QUOTE))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0
