"""A list's rows as one sender may have them: its own tokens, hashes, or numbers; columns bound to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.delivery.senders import Right
from contact_sanitizer.errors import DeliveryError, OutputError
from contact_sanitizer.outputs.clean import Lead
from contact_sanitizer.policy_words import Action
from contact_sanitizer.protection.blocks import Blocks, block_texts
from contact_sanitizer.protection.columns import ColumnContext, decrypt_column, encrypt_cells
from contact_sanitizer.protection.hashes import hash_numbers
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.slabs import rows_of
from contact_sanitizer.protection.subjects import subjects as subjects_of
from contact_sanitizer.protection.token_text import Tokens
from contact_sanitizer.protection.tokens import TokenMaker, TokenOpener
from contact_sanitizer.protection.wire import Refusal
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.terms import KEYED, ListTerms


class Form(StrEnum):
    """What stands for a person in a delivery; the value names the file's first column."""

    TOKEN = "token"  # noqa: S105 - the name of a column
    HASH = "hash"
    PHONE = "phone"

    @property
    def right(self) -> Right:
        """The right that a sender needs for it."""
        return _RIGHTS[self]


_RIGHTS: Final = {Form.TOKEN: Right.TOKENS, Form.HASH: Right.HASH, Form.PHONE: Right.PHONE}


def check_form(form: Form, terms: ListTerms) -> None:
    """Nothing where a list under these terms may be handed out so; else `DeliveryError` (`form_refused`)."""
    if form is Form.PHONE and not terms.phones:
        raise DeliveryError("form_refused", "the list's policy hands out no numbers (output.phones)")
    if form.value in terms.columns:
        raise DeliveryError("form_refused", "the list keeps a column of the name that its numbers would have")


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """People of a list: blocks and subjects, uint8 (n, 16) each, in the list's order."""

    blocks: Blocks
    subjects: NDArray[np.uint8]

    def only(self, kept: NDArray[np.bool_]) -> Opened:
        """Some of the people; `kept` bool (n,)."""
        rows = np.flatnonzero(kept)
        return Opened(*(rows_of(matrix, rows) for matrix in (self.blocks, self.subjects)))

    def __repr__(self) -> str:
        return f"Opened({len(self.blocks)})"


class Hands:
    """Opens what was made for a list's audience and makes it anew for one sender's."""

    def __init__(self, keyring: Keyring, terms: ListTerms, audience: str, form: Form) -> None:
        self._keyring = keyring
        self._terms = terms
        self._audience = audience
        self._form = form
        self._opener = TokenOpener(keyring, terms.audience)
        self._maker = TokenMaker(keyring, audience)

    @property
    def keep_lines(self) -> bool:
        """Whether the sender's rows differ from the list's by their tokens alone."""
        return self._form is Form.TOKEN and Action.ENCRYPT not in self._terms.columns.values()

    def open(self, tokens: Tokens) -> Opened:
        """Whose tokens of the list these are.

        Raises `DeliveryError` (`list_key_destroyed`), or `OutputError` (`list_damaged`) for a foreign token.
        """
        opened = self._opener.open_many(tokens)
        if opened.refusals.any():
            if (opened.refusals == Refusal.KEY_DESTROYED).any():
                raise DeliveryError("list_key_destroyed", "the key of the list's tokens was destroyed")
            raise OutputError("list_damaged", "the list holds tokens that are not its own")
        return Opened(opened.blocks, subjects_of(opened.blocks, self._keyring))

    def render(self, blocks: Blocks, format_name: str) -> tuple[NDArray[np.uint8], Lead]:
        """The sender's tokens before they are text, uint8 (n, 37), and the first cells of its rows."""
        if self._form is Form.TOKEN:
            return self._maker.wires_and_text(blocks)
        wires = self._maker.wires(blocks)
        if self._form is Form.HASH:
            return wires, hashes_of(blocks, self._keyring, self._terms.hash_as)
        # A spreadsheet would run a cell that begins with +.
        return wires, phones_of(blocks, plus=format_name != "csv")

    def columns(self, stored: Sequence[pa.StringArray]) -> list[pa.StringArray]:
        """The list's columns; encrypted cells are sealed anew, or two senders could join their lists."""
        actions = self._terms.columns.items()
        return [
            self._sealed_anew(name, cells) if action is Action.ENCRYPT else cells
            for (name, action), cells in zip(actions, stored, strict=True)
        ]

    def _sealed_anew(self, name: str, cells: pa.StringArray) -> pa.StringArray:
        plain = decrypt_column(cells, ColumnContext(self._keyring, self._terms.audience, name))
        return encrypt_cells(plain, ColumnContext(self._keyring, self._audience, name))


def hashes_of(blocks: Blocks, keyring: Keyring, hash_as: str) -> pa.StringArray:
    """The hash of each number, keyed or under a foreign contract: n strings."""
    if hash_as == KEYED:
        return hash_numbers(blocks, keyring)
    contract = HashContract.named(hash_as)
    return pa.array([contract.digest(digits).hex() for digits in block_texts(blocks)], pa.string())


def phones_of(blocks: Blocks, *, plus: bool) -> pa.StringArray:
    """The numbers in E.164, n strings; without their `+` where that may not stand."""
    mark = b"+" if plus else b""
    return pa.array([(mark + digits).decode("ascii") for digits in block_texts(blocks)], pa.string())
