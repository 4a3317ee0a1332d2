from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import Keyring, KeyStatus, SubKey, new_key
from contact_sanitizer.protection.keyring_json import dump_keyring, load_keyring

FIRST = 0x01020304


def code_of(error: pytest.ExceptionInfo[KeyringError]) -> str:
    return error.value.code


def rotated(keyring: Keyring, now: datetime, times: int) -> Keyring:
    for turn in range(1, times + 1):
        keyring = keyring.rotate(turn, bytes([turn]) * 32, now + timedelta(days=turn))
    return keyring


def test_sub_keys_are_hkdf_of_the_root_bound_to_tenant_and_label(keyring: Keyring) -> None:
    info = b"contact-sanitizer/key/v1|acme|token"
    expected = HKDF(algorithm=SHA256(), length=64, salt=None, info=info).derive(bytes(range(32)))
    assert keyring.subkey(FIRST, SubKey.TOKEN) == expected


def test_no_two_uses_and_no_two_tenants_share_key_bytes(keyring: Keyring, now: datetime) -> None:
    other = Keyring.create("other", FIRST, bytes(range(32)), now)
    starts = {ring.subkey(FIRST, use)[:16] for ring in (keyring, other) for use in SubKey}
    assert len(starts) == 2 * len(SubKey)


def test_there_is_one_primary_whatever_the_rotations(keyring: Keyring, now: datetime) -> None:
    for times in range(6):
        ring = rotated(keyring, now, times)
        assert [key.status for key in ring.keys].count(KeyStatus.PRIMARY) == 1
        assert ring.primary == ring.keys[-1]
        assert len(ring.opening) == times + 1


def test_the_index_key_stays_over_rotation_and_over_its_own_destruction(
    keyring: Keyring, now: datetime
) -> None:
    later = rotated(keyring, now, 3).destroy(FIRST)
    assert later.index_key_id == FIRST
    assert later.lookup == keyring.lookup


def test_a_destroyed_key_has_no_root_and_gives_no_sub_key(keyring: Keyring, now: datetime) -> None:
    ring = rotated(keyring, now, 1).destroy(FIRST)
    assert ring.key(FIRST).root is None
    with pytest.raises(KeyringError) as error:
        ring.subkey(FIRST, SubKey.TOKEN)
    assert code_of(error) == "key_destroyed"


def test_the_primary_cannot_be_destroyed(keyring: Keyring) -> None:
    with pytest.raises(KeyringError) as error:
        keyring.destroy(FIRST)
    assert code_of(error) == "key_refused"


def test_destroying_twice_changes_nothing(keyring: Keyring, now: datetime) -> None:
    ring = rotated(keyring, now, 1).destroy(FIRST)
    assert ring.destroy(FIRST) == ring


def test_an_unknown_key_is_said_to_be_unknown(keyring: Keyring) -> None:
    for attempt in (
        lambda: keyring.destroy(7),
        lambda: keyring.subkey(7, SubKey.HASH),
        lambda: keyring.key(7),
    ):
        with pytest.raises(KeyringError) as error:
            attempt()
        assert code_of(error) == "key_unknown"


def test_a_used_id_or_root_cannot_come_back(keyring: Keyring, now: datetime) -> None:
    for key_id, root in ((FIRST, b"n" * 32), (9, bytes(range(32)))):
        with pytest.raises(KeyringError) as error:
            keyring.rotate(key_id, root, now)
        assert code_of(error) == "key_refused"


@pytest.mark.parametrize("key_id", [0, -1, 1 << 32])
def test_a_key_id_is_a_positive_uint32(key_id: int, now: datetime) -> None:
    with pytest.raises(KeyringError):
        Keyring.create("acme", key_id, bytes(32), now)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_root_has_32_bytes(size: int, now: datetime) -> None:
    with pytest.raises(KeyringError):
        Keyring.create("acme", 1, bytes(size), now)


@pytest.mark.parametrize("tenant", ["", "a|b", "a\nb", "x" * 129, "\ud800"])
def test_a_tenant_name_that_could_be_read_as_two_is_refused(tenant: str, now: datetime) -> None:
    with pytest.raises(KeyringError) as error:
        Keyring.create(tenant, 1, bytes(32), now)
    assert code_of(error) == "name_invalid"


def test_no_rendering_shows_a_key(keyring: Keyring, now: datetime) -> None:
    ring = rotated(keyring, now, 2)
    ring.subkey(FIRST, SubKey.TOKEN)
    secrets = [key.root for key in ring.keys if key.root] + [ring.lookup.index, ring.lookup.hash]
    secrets += [ring.subkey(key.id, use) for key in ring.keys for use in SubKey]
    shown = " ".join(
        rendering(thing)
        for thing in (ring, ring.keys, ring.lookup, *ring.keys)
        for rendering in (repr, str, lambda thing: f"{thing}")
    )
    for secret in secrets:
        assert repr(secret)[2:10] not in shown
        assert secret.hex()[:8] not in shown


def test_a_keyring_comes_back_from_json_as_it_was(keyring: Keyring, now: datetime) -> None:
    ring = rotated(keyring, now, 5).destroy(2).destroy(FIRST)
    text = dump_keyring(ring)
    assert load_keyring(text) == ring
    assert dump_keyring(load_keyring(text)) == text
    assert json.loads(text)["format"] == "contact-sanitizer/keyring/v1"


def test_a_destroyed_root_is_not_in_the_json(keyring: Keyring, now: datetime) -> None:
    ring = rotated(keyring, now, 1)
    root = json.loads(dump_keyring(ring))["keys"][0]["root"]
    assert root
    assert root not in dump_keyring(ring.destroy(FIRST))


def test_a_newer_format_is_named_as_newer(keyring: Keyring) -> None:
    text = dump_keyring(keyring).replace("keyring/v1", "keyring/v2")
    with pytest.raises(KeyringError) as error:
        load_keyring(text)
    assert code_of(error) == "keyring_newer"


GONE = object()
DAMAGES: dict[str, tuple[tuple[str | int, ...], object]] = {
    "no format": (("format",), GONE),
    "another format": (("format",), "contact-sanitizer/manifest/v1"),
    "a format without number": (("format",), "contact-sanitizer/keyring/vx"),
    "a short root": (("keys", 0, "root"), "AAAA"),
    "a root that is no base64": (("keys", 0, "root"), "!" * 44),
    "no root": (("keys", 0, "root"), None),
    "the root of another key": (("keys", 0, "root"), "A" * 43 + "="),
    "a destroyed key with a root": (("keys", 0, "status"), "destroyed"),
    "an unknown status": (("keys", 0, "status"), "asleep"),
    "no primary": (("keys", 0, "status"), "enabled"),
    "an id as text": (("keys", 0, "id"), "16909060"),
    "an unknown member": (("note",), "x"),
    "an unknown member of a key": (("keys", 0, "note"), "x"),
    "a local time": (("keys", 0, "created_at"), "2026-03-01T12:00:00"),
    "no time": (("keys", 0, "created_at"), 7),
    "the index key of nobody": (("lookup", "key_id"), 5),
    "a foreign lookup key": (("lookup", "index"), "A" * 43 + "="),
    "keys as object": (("keys",), {}),
    "no keys": (("keys",), []),
    "a number for a key": (("keys", 0), 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_keyring_is_refused_without_quoting_it(damage: str, keyring: Keyring) -> None:
    document = json.loads(dump_keyring(keyring))
    root = document["keys"][0]["root"]
    (*path, last), value = DAMAGES[damage]
    place: Any = document
    for step in path:
        place = place[step]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(KeyringError) as error:
        load_keyring(json.dumps(document))
    assert code_of(error) == "keyring_damaged"
    assert error.value.__suppress_context__ or error.value.__context__ is None
    assert root[:8] not in str(error.value)


def test_two_keys_of_one_id_are_refused(keyring: Keyring) -> None:
    document = json.loads(dump_keyring(keyring))
    document["keys"].append(document["keys"][0] | {"status": "enabled"})
    with pytest.raises(KeyringError) as error:
        load_keyring(json.dumps(document))
    assert code_of(error) == "keyring_damaged"


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe{}", "[" * 100_000, '"x"', "null"])
def test_what_is_no_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(KeyringError) as error:
        load_keyring(text)
    assert code_of(error) == "keyring_damaged"


def test_a_new_key_takes_what_the_source_of_randomness_gives_and_skips_id_0() -> None:
    given = iter([bytes(4), b"\0\0\1\0", b"r" * 32])
    assert new_key(lambda size: next(given)[:size]) == (256, b"r" * 32)


def test_times_are_kept_in_utc(now: datetime) -> None:
    ring = Keyring.create("acme", 1, bytes(32), now)
    assert load_keyring(dump_keyring(ring)).keys[0].created_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
