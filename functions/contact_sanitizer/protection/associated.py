"""What each ciphertext is bound to: one string that names its use, version, tenant and audience."""

from __future__ import annotations

from enum import StrEnum

from contact_sanitizer.errors import KeyringError

_LONGEST_NAME = 128


class Use(StrEnum):
    """What a key derivation or a ciphertext is for; the version belongs to the name."""

    KEY = "contact-sanitizer/key/v1"
    TOKEN = "contact-sanitizer/token/v1"  # noqa: S105  # a public label, no secret
    COLUMN = "contact-sanitizer/column/v1"
    SEAL = "contact-sanitizer/seal/v1"
    DIGEST = "contact-sanitizer/upload-digest/v1"
    PERSON = "contact-sanitizer/person/v1"


def checked_name(name: str) -> str:
    """`name`, if it may name a tenant or an audience.

    1 to 128 printable characters without `|`: the bar separates names in associated data, so a
    name that holds one could be read as two. Raises `KeyringError` `name_invalid`.
    """
    if not 0 < len(name) <= _LONGEST_NAME or "|" in name or not name.isprintable():
        raise KeyringError(
            "name_invalid", "a tenant or audience has 1 to 128 printable characters and no vertical bar"
        )
    return name


def associated_data(use: Use, *names: str) -> bytes:
    """`USE|NAME|NAME…` in UTF-8, without normalisation.

    Every name but the last must have passed `checked_name`; then two lists of names never give the
    same bytes.
    """
    return "|".join((use, *names)).encode("utf-8", "surrogatepass")
