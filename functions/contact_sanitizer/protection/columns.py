"""What becomes of the columns that a policy names: kept, masked, hashed or encrypted.

Promises: an empty cell stays empty; a masked cell does not tell its length; an encrypted one opens
only with the keyring, for its tenant, audience and column. Does not promise: hiding how often a
value occurs, or, for `encrypt`, how long it is.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.policy_words import Action
from contact_sanitizer.protection.associated import Use, associated_data, checked_name
from contact_sanitizer.protection.detect import redact_cells
from contact_sanitizer.protection.hashes import hash_cells
from contact_sanitizer.protection.keyring import Keyring, SubKey
from contact_sanitizer.protection.wire import PREFIX_BYTES, SIV_BYTES, key_id_of, wire_prefix

CELL_MARK = "ce_"


@dataclass(frozen=True, slots=True, repr=False)
class ColumnContext:
    """Whose column it is: the keyring, the list's audience, and the column's name in the policy."""

    keyring: Keyring
    audience: str
    column: str

    def __repr__(self) -> str:
        return "ColumnContext()"

    @property
    def associated_data(self) -> bytes:
        """What an encrypted cell is bound to: `contact-sanitizer/column/v1|TENANT|AUDIENCE|COLUMN`."""
        return associated_data(Use.COLUMN, self.keyring.tenant, checked_name(self.audience), self.column)


def protect_column(
    cells: pa.StringArray, action: Action, context: ColumnContext
) -> tuple[pa.StringArray, Mapping[str, int]]:
    """The cells (n strings, no nulls) as the list may hold them, and what was redacted: count by kind.

    Counts are there for `keep` alone: `phone`, `id`, `card`, `email`. A column with `drop` has no cells
    to protect; asking for it is a fault of the caller: `AssertionError`.
    """
    match action:
        case Action.KEEP:
            return redact_cells(cells)
        case Action.MASK:
            return mask_cells(cells), {}
        case Action.HASH:
            return hash_cells(cells, context.keyring), {}
        case Action.ENCRYPT:
            return encrypt_cells(cells, context), {}
        case Action.DROP:
            raise AssertionError("a dropped column is not asked for")


def mask_cells(cells: pa.StringArray) -> pa.StringArray:
    """The first character of each cell and `**`, whatever its length; `**` alone for one character."""
    lengths = pc.utf8_length(cells)
    kept = pc.if_else(pc.greater(lengths, 1), pc.utf8_slice_codeunits(cells, 0, 1), "")
    stars = pc.if_else(pc.greater(lengths, 0), "**", "")
    return pc.binary_join_element_wise(kept, stars, "")


def encrypt_cells(cells: pa.StringArray, context: ColumnContext) -> pa.StringArray:
    """`ce_` and the unpadded base64url of each cell's AES-SIV wire form under the primary key.

    Deterministic: equal cells of one column and audience encrypt alike.
    """
    key_id = context.keyring.primary.id
    siv = AESSIV(context.keyring.subkey(key_id, SubKey.COLUMN))
    bound_to = [context.associated_data]
    prefix = wire_prefix(key_id)
    distinct = cells.dictionary_encode()
    written = [
        _cell_text(prefix + siv.encrypt(cell, bound_to)) if cell else ""
        for cell in distinct.dictionary.cast(pa.binary()).to_pylist()
    ]
    return pa.array(written, pa.string()).take(distinct.indices)


def decrypt_column(cells: pa.StringArray, context: ColumnContext) -> pa.StringArray:
    """The cells that `encrypt_cells` was given.

    Raises `KeyringError` for the first cell that does not open: `token_malformed`, `key_unknown`,
    `key_destroyed`, `token_refused` (altered, or of another tenant, audience or column).
    """
    distinct = cells.dictionary_encode()
    opened = [_open_cell(cell, context) if cell else b"" for cell in distinct.dictionary.to_pylist()]
    return pa.array(opened, pa.binary()).cast(pa.string()).take(distinct.indices)


def _cell_text(wire: bytes) -> str:
    return CELL_MARK + base64.urlsafe_b64encode(wire).rstrip(b"=").decode("ascii")


def _open_cell(cell: str, context: ColumnContext) -> bytes:
    wire = _cell_wire(cell)
    key_id = key_id_of(wire)
    if key_id is None or len(wire) <= PREFIX_BYTES + SIV_BYTES:
        raise KeyringError("token_malformed", "a cell of the column is not an encrypted cell")
    siv = AESSIV(context.keyring.subkey(key_id, SubKey.COLUMN))
    try:
        return siv.decrypt(wire[PREFIX_BYTES:], [context.associated_data])
    except InvalidTag:
        raise KeyringError(
            "token_refused",
            "a cell of the column was altered, or belongs to another column, audience or tenant",
        ) from None


def _cell_wire(cell: str) -> bytes:
    """The bytes of an encrypted cell's text; none for any text that `_cell_text` cannot have written."""
    body = cell.removeprefix(CELL_MARK)
    try:
        wire = base64.b64decode(body + "=" * (-len(body) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return wire if _cell_text(wire) == cell else b""
