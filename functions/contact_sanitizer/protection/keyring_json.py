"""A keyring as JSON, `contact-sanitizer/keyring/v1`, and the way back.

The text holds the keys in the clear: whoever stores it wraps or guards it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import Key, Keyring, KeyStatus, LookupKeys

_FAMILY = "contact-sanitizer/keyring/v"
KEYRING_FORMAT = f"{_FAMILY}1"


def dump_keyring(keyring: Keyring) -> str:
    """The keyring as JSON: the same keyring gives the same text."""
    document = {
        "format": KEYRING_FORMAT,
        "tenant": keyring.tenant,
        "keys": [_key_object(key) for key in keyring.keys],
        "lookup": {
            "key_id": keyring.lookup.key_id,
            "index": _base64(keyring.lookup.index),
            "hash": _base64(keyring.lookup.hash),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def load_keyring(text: str | bytes) -> Keyring:
    """The keyring that `dump_keyring` wrote.

    Raises `KeyringError`: `keyring_newer` for a later version of the format, `keyring_damaged` for
    everything that `dump_keyring` cannot have written, lookup keys that do not follow from their
    root included.
    """
    try:
        keyring = _parsed(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise KeyringError("keyring_damaged", "the keyring is not in its format") from None
    _check_lookup(keyring)
    return keyring


def _parsed(document: Mapping[str, Any]) -> Keyring:
    _check_format(document)
    keyring = _keyring(document)
    if json.loads(dump_keyring(keyring)) != document:
        raise ValueError
    return keyring


def _check_format(document: Mapping[str, Any]) -> None:
    name = document["format"]
    if name == KEYRING_FORMAT:
        return
    version = name.removeprefix(_FAMILY)
    if version != name and version.isdecimal() and not version.startswith("0"):
        raise KeyringError("keyring_newer", "the keyring was written by a newer version")
    raise ValueError


def _keyring(document: Mapping[str, Any]) -> Keyring:
    lookup = document["lookup"]
    return Keyring(
        document["tenant"],
        tuple(_key(entry) for entry in document["keys"]),
        LookupKeys(lookup["key_id"], _bytes(lookup["index"]), _bytes(lookup["hash"])),
    )


def _key(entry: Mapping[str, Any]) -> Key:
    root = entry["root"]
    return Key(
        entry["id"],
        KeyStatus(entry["status"]),
        datetime.fromisoformat(entry["created_at"]),
        None if root is None else _bytes(root),
    )


def _key_object(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "status": key.status.value,
        "created_at": key.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "root": None if key.root is None else _base64(key.root),
    }


def _check_lookup(keyring: Keyring) -> None:
    root = keyring.key(keyring.index_key_id).root
    if root is not None and LookupKeys.derive(keyring.index_key_id, root, keyring.tenant) != keyring.lookup:
        raise KeyringError("keyring_damaged", "the lookup keys do not follow from their root")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(value: str) -> bytes:
    return base64.b64decode(value, validate=True)
