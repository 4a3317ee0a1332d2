"""The keyring in a bucket, wrapped by KMS."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudworld import CLEAN, CloudWorld, Faulty
from contact_sanitizer.aws.keystore import KmsKeyStore, Wrapper
from contact_sanitizer.errors import KeyringError
from contact_sanitizer.protection.keyring import KeyStatus

NOW = datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
PLACE = "keys/default/keyring.json"


def chance() -> Callable[[int], bytes]:
    """Random bytes that are a counter."""
    counter = iter(range(1, 1000))
    return lambda size: next(counter).to_bytes(size, "big")


def store_of(world: CloudWorld, tenant: str = "default", place: str = PLACE) -> KmsKeyStore:
    wrapper = Wrapper(world.clients.kms, world.keyring_key, tenant)
    return KmsKeyStore(world.clients.s3, CLEAN, place, world.data_key, wrapper)


@pytest.fixture
def store(world: CloudWorld) -> KmsKeyStore:
    return store_of(world)


def stored(world: CloudWorld) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(world.clients.s3.get_object(Bucket=CLEAN, Key=PLACE)["Body"].read())
    return document


def replace(world: CloudWorld, document: object) -> None:
    world.clients.s3.put_object(Bucket=CLEAN, Key=PLACE, Body=json.dumps(document).encode())


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(KeyringError) as caught:
        call()
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "13812345678" not in str(caught.value)
    return caught.value.code


def test_a_keyring_comes_back_as_it_was_made(store: KmsKeyStore) -> None:
    assert code_of(store.load) == "keyring_missing"
    made = store.create("default", NOW, chance())
    assert store.load() == made
    assert code_of(lambda: store.create("default", NOW, chance())) == "keyring_unwritable"
    assert store.load() == made


def test_nothing_in_the_bucket_is_a_key(store: KmsKeyStore, world: CloudWorld) -> None:
    keyring = store.create("default", NOW, chance())
    text = json.dumps(stored(world))
    for secret in (keyring.primary.root or b"", keyring.lookup.index, keyring.lookup.hash):
        assert base64.b64encode(secret).decode() not in text
        assert secret.hex() not in text
    assert [(key["id"], key["status"]) for key in stored(world)["keys"]] == [(1, "primary")]


def test_rotation_keeps_what_was_and_wraps_only_the_new_key(store: KmsKeyStore, world: CloudWorld) -> None:
    randomness = chance()
    first = store.create("default", NOW, randomness)
    before = stored(world)["keys"][0]["wrapped"]
    second = store.rotate(NOW, randomness)
    assert store.load() == second
    assert [key.status for key in second.keys] == [KeyStatus.ENABLED, KeyStatus.PRIMARY]
    assert second.lookup == first.lookup
    assert stored(world)["keys"][0]["wrapped"] == before


def test_a_destroyed_root_is_gone_from_older_versions_too(store: KmsKeyStore, world: CloudWorld) -> None:
    randomness = chance()
    first = store.create("default", NOW, randomness)
    store.rotate(NOW, randomness)
    after = store.destroy(first.primary.id)
    assert store.load() == after
    assert after.keys[0].root is None
    versions = world.clients.s3.list_object_versions(Bucket=CLEAN, Prefix=PLACE)["Versions"]
    assert len(versions) == 1
    assert stored(world)["keys"][0]["wrapped"] is None


def test_destroying_again_deletes_what_the_first_time_could_not(
    store: KmsKeyStore, world: CloudWorld
) -> None:
    randomness = chance()
    first = store.create("default", NOW, randomness)
    store.rotate(NOW, randomness)
    broken = [True]
    Faulty(
        world.clients,
        lambda operation, _: "before denied" if operation == "DeleteObject" and broken[0] else "",
    )
    assert code_of(lambda: store.destroy(first.primary.id)) == "keyring_unwritable"
    assert store.load().keys[0].root is None
    broken[0] = False
    store.destroy(first.primary.id)
    assert len(world.clients.s3.list_object_versions(Bucket=CLEAN, Prefix=PLACE)["Versions"]) == 1


def test_of_two_rotations_at_once_one_is_refused(store: KmsKeyStore, world: CloudWorld) -> None:
    store.create("default", NOW, chance())
    raced: list[str] = []

    def race(operation: str, _: int) -> str:
        if operation == "PutObject" and not raced:
            raced.append(operation)
            document = stored(world)
            replace(world, document | {"keys": document["keys"]})
        return ""

    Faulty(world.clients, race)
    assert code_of(lambda: store.rotate(NOW, lambda size: b"\x07" * size)) == "keyring_unwritable"
    assert len(store.load().keys) == 1


@pytest.mark.parametrize("call", ["create", "rotate", "destroy"])
def test_a_change_whose_answer_was_lost_took_place(store: KmsKeyStore, world: CloudWorld, call: str) -> None:
    randomness = chance()
    lost: list[str] = []

    def lose(operation: str, _: int) -> str:
        if operation != "PutObject" or lost:
            return ""
        lost.append(operation)
        return "after timeout"

    if call == "create":
        Faulty(world.clients, lose)
        made = store.create("default", NOW, randomness)
    else:
        first = store.create("default", NOW, randomness)
        if call == "destroy":
            store.rotate(NOW, randomness)
        Faulty(world.clients, lose)
        made = store.rotate(NOW, randomness) if call == "rotate" else store.destroy(first.primary.id)
    assert lost
    assert store.load() == made


def test_another_tenants_keyring_does_not_open(store: KmsKeyStore, world: CloudWorld) -> None:
    store.create("default", NOW, chance())
    assert code_of(store_of(world, "other").load) == "keyring_damaged"
    replace(world, stored(world) | {"tenant": "other"})
    assert code_of(store_of(world, "other").load) == "keyring_damaged"


def test_wrapped_keys_cannot_change_places(store: KmsKeyStore, world: CloudWorld) -> None:
    randomness = chance()
    store.create("default", NOW, randomness)
    store.rotate(NOW, randomness)
    document = stored(world)
    one, two = document["keys"]
    one["wrapped"], two["wrapped"] = two["wrapped"], one["wrapped"]
    replace(world, document)
    assert code_of(store.load) == "keyring_damaged"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("timeout", "keyring_unavailable"),
        ("500", "keyring_unavailable"),
        ("throttle", "keyring_unavailable"),
        ("denied", "keyring_denied"),
    ],
)
@pytest.mark.parametrize("operation", ["Decrypt", "GetObject"])
def test_who_cannot_open_a_key_gets_no_keyring(
    store: KmsKeyStore, world: CloudWorld, operation: str, kind: str, code: str
) -> None:
    store.create("default", NOW, chance())
    Faulty(world.clients, lambda called, _: f"before {kind}" if called == operation else "")
    assert code_of(store.load) == code


def test_a_keyring_that_cannot_be_wrapped_is_not_stored(store: KmsKeyStore, world: CloudWorld) -> None:
    Faulty(world.clients, lambda operation, _: "before denied" if operation == "Encrypt" else "")
    assert code_of(lambda: store.create("default", NOW, chance())) == "keyring_denied"
    assert code_of(store.load) == "keyring_missing"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"format": 1},
        {"format": "contact-sanitizer/wrapped-keyring/v1"},
        {"format": "contact-sanitizer/wrapped-keyring/v1", "tenant": "default", "keys": [], "lookup": 3},
    ],
)
def test_a_damaged_keyring_is_refused(store: KmsKeyStore, world: CloudWorld, document: object) -> None:
    replace(world, document)
    assert code_of(store.load) == "keyring_damaged"


@pytest.mark.parametrize(
    "change",
    [
        {"status": "primary", "wrapped": None},
        {"status": "enabled"},
        {"status": "13812345678"},
        {"id": 2},
        {"id": "1"},
        {"created_at": "yesterday"},
        {"created_at": "2026-01-31"},
        {"wrapped": "!"},
        {"wrapped": "AAAA"},
        {"wrapped": 3},
    ],
)
def test_a_key_that_was_tampered_with_is_refused(
    store: KmsKeyStore, world: CloudWorld, change: dict[str, object]
) -> None:
    store.create("default", NOW, chance())
    document = stored(world)
    document["keys"][0] |= change
    replace(world, document)
    assert code_of(store.load) == "keyring_damaged"


def test_a_newer_format_is_told_apart(store: KmsKeyStore, world: CloudWorld) -> None:
    replace(world, {"format": "contact-sanitizer/wrapped-keyring/v2"})
    assert code_of(store.load) == "keyring_newer"
