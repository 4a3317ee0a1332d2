"""A tenant's keys: the primary protects, enabled ones still open, a destroyed one is gone.

Promises: every sub-key is HKDF-SHA-256 (RFC 5869) of one key's 32-byte root, bound to the tenant and
to one use; no `repr`, `str` or error shows a key; a keyring has exactly one primary.
Does not promise: wiping a destroyed root from this process's memory, from backups or from an older
copy of the key file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.associated import Use, associated_data, checked_name

ROOT_BYTES = 32
LOOKUP_BYTES = 32
_LARGEST_ID = 0xFFFFFFFF


class KeyStatus(StrEnum):
    """What a key may still do."""

    PRIMARY = "primary"
    ENABLED = "enabled"
    DESTROYED = "destroyed"


class SubKey(Enum):
    """One use of a root: its HKDF label and its length in bytes."""

    TOKEN = ("token", 64)
    INDEX = ("index", LOOKUP_BYTES)
    HASH = ("hash", LOOKUP_BYTES)
    COLUMN = ("column", 64)

    def derive(self, root: bytes, tenant: str) -> bytes:
        """HKDF-SHA-256 of `root`: no salt (the root is uniform, RFC 5869 3.1), `KEY|TENANT|LABEL` as info."""
        label, size = self.value
        return hkdf_sha256(root, salt=None, info=associated_data(Use.KEY, tenant, label), size=size)


def hkdf_sha256(root: bytes, *, salt: bytes | None, info: bytes, size: int) -> bytes:
    """`size` bytes of HKDF with SHA-256 (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=size, salt=salt, info=info).derive(root)


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """One key: `id` (uint32, not 0), what it may do, since when (UTC), and its root until it is destroyed."""

    id: int
    status: KeyStatus
    created_at: datetime
    root: bytes | None

    def __post_init__(self) -> None:
        sound = (
            0 < self.id <= _LARGEST_ID
            and self.created_at.utcoffset() is not None
            and (self.root is None) == (self.status is KeyStatus.DESTROYED)
            and (self.root is None or len(self.root) == ROOT_BYTES)
        )
        if not sound:
            raise KeyringError("keyring_damaged", "a key has an impossible id, time or root")

    def __repr__(self) -> str:
        return f"Key({self.id}, {self.status})"


@dataclass(frozen=True, slots=True, repr=False)
class LookupKeys:
    """The `index` and `hash` sub-keys (32 bytes each) and the id of the key whose root gave them.

    They are kept beside the roots: subjects and hashes stay comparable when that root is destroyed,
    while nothing that was encrypted under it can be opened again, for HKDF does not run backwards.
    """

    key_id: int
    index: bytes
    hash: bytes

    def __post_init__(self) -> None:
        if not len(self.index) == len(self.hash) == LOOKUP_BYTES:
            raise KeyringError("keyring_damaged", "a lookup key has an impossible length")

    @staticmethod
    def derive(key_id: int, root: bytes, tenant: str) -> LookupKeys:
        """The lookup keys that `root` gives."""
        return LookupKeys(key_id, SubKey.INDEX.derive(root, tenant), SubKey.HASH.derive(root, tenant))

    def __repr__(self) -> str:
        return f"LookupKeys(of key {self.key_id})"


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """All keys of one tenant, oldest first, destroyed ones included.

    `rotate` changes what protects tokens, encrypted cells and sealed numbers. It does not change
    `index_key_id`: subjects and hashes made before and after a rotation must still compare, or a
    refusal recorded last year would no longer stop a number today.
    """

    tenant: str
    keys: tuple[Key, ...]
    lookup: LookupKeys
    _derived: dict[tuple[int, SubKey], bytes] = field(default_factory=dict, init=False, compare=False)

    def __post_init__(self) -> None:
        checked_name(self.tenant)
        ids = [key.id for key in self.keys]
        primaries = [key for key in self.keys if key.status is KeyStatus.PRIMARY]
        if len(set(ids)) != len(ids) or len(primaries) != 1 or self.lookup.key_id not in ids:
            raise KeyringError("keyring_damaged", "the key ids or the primary key are inconsistent")

    @staticmethod
    def create(tenant: str, key_id: int, root: bytes, now: datetime) -> Keyring:
        """A keyring of one primary key. `root`: 32 bytes from a cryptographic source."""
        checked_name(tenant)
        key = Key(key_id, KeyStatus.PRIMARY, now.astimezone(UTC), root)
        return Keyring(tenant, (key,), LookupKeys.derive(key_id, root, tenant))

    @property
    def primary(self) -> Key:
        """The key that protects."""
        return next(key for key in self.keys if key.status is KeyStatus.PRIMARY)

    @property
    def index_key_id(self) -> int:
        """The key whose root gave the `index` and `hash` sub-keys; the same over every rotation."""
        return self.lookup.key_id

    @property
    def opening(self) -> tuple[Key, ...]:
        """The keys that still open: the primary and the enabled ones, oldest first."""
        return tuple(key for key in self.keys if key.root is not None)

    def key(self, key_id: int) -> Key:
        """The key of that id, destroyed or not. Raises `KeyringError` `key_unknown`."""
        for key in self.keys:
            if key.id == key_id:
                return key
        raise KeyringError("key_unknown", "no key of this keyring has that id")

    def subkey(self, key_id: int, use: SubKey) -> bytes:
        """The sub-key for `use` of one key. Raises `KeyringError` `key_unknown`, `key_destroyed`."""
        known = self._derived.get((key_id, use))
        if known is not None:
            return known
        root = self.key(key_id).root
        if root is None:
            raise KeyringError("key_destroyed", "that key has been destroyed")
        return self._derived.setdefault((key_id, use), use.derive(root, self.tenant))

    def rotate(self, new_id: int, new_root: bytes, now: datetime) -> Keyring:
        """A keyring with a new primary; the old one stays enabled.

        Raises `KeyringError` `key_refused` where the id or the root was used before.
        """
        if any(new_id == key.id or new_root == key.root for key in self.keys):
            raise KeyringError("key_refused", "a new key needs an id and a root that were never used")
        kept = tuple(
            replace(key, status=KeyStatus.ENABLED) if key.status is KeyStatus.PRIMARY else key
            for key in self.keys
        )
        new = Key(new_id, KeyStatus.PRIMARY, now.astimezone(UTC), new_root)
        return Keyring(self.tenant, (*kept, new), self.lookup)

    def protecting_with(self, key_id: int) -> Keyring:
        """The keyring with that key as primary, so that work begun before a rotation ends as it began.

        Never stored. Raises `KeyringError` `key_unknown`, `key_destroyed`.
        """
        if self.key(key_id).root is None:
            raise KeyringError("key_destroyed", "that key has been destroyed")
        status = {KeyStatus.PRIMARY: KeyStatus.ENABLED}
        keys = tuple(
            replace(key, status=KeyStatus.PRIMARY if key.id == key_id else status.get(key.status, key.status))
            for key in self.keys
        )
        return Keyring(self.tenant, keys, self.lookup)

    def destroy(self, key_id: int) -> Keyring:
        """A keyring without that key's root: what it protected can never be opened again.

        The id stays listed, so that its tokens are refused as `key_destroyed`, not as unknown.
        Destroying twice changes nothing. Raises `KeyringError` `key_unknown`, and `key_refused` for the
        primary: rotate first.
        """
        if self.key(key_id).status is KeyStatus.PRIMARY:
            raise KeyringError(
                "key_refused", "the primary key protects new lists: rotate before destroying it"
            )
        kept = tuple(
            replace(key, status=KeyStatus.DESTROYED, root=None) if key.id == key_id else key
            for key in self.keys
        )
        return Keyring(self.tenant, kept, self.lookup)

    def __repr__(self) -> str:
        return f"Keyring({len(self.keys)} keys, primary {self.primary.id})"


def new_key(random_bytes: Callable[[int], bytes]) -> tuple[int, bytes]:
    """An id (uint32, not 0) and a root (32 bytes) from `random_bytes`."""
    key_id = 0
    while key_id == 0:
        key_id = int.from_bytes(random_bytes(4), "big")
    return key_id, random_bytes(ROOT_BYTES)
