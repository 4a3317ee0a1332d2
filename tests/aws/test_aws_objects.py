"""Small objects in a bucket; what every `Objects` promises is in the contract suite."""

from __future__ import annotations

import pytest

from cloudworld import CLEAN, CloudWorld, Faulty
from contact_sanitizer.aws.clients import ATTEMPTS
from contact_sanitizer.aws.objects import S3Objects, audit_fault
from contact_sanitizer.errors import AuditError, CatalogueError


@pytest.fixture
def objects(world: CloudWorld) -> S3Objects:
    return S3Objects(world.clients.s3, CLEAN, "log/", world.data_key)


def test_of_two_writers_of_an_absent_key_one_wrote(objects: S3Objects) -> None:
    assert objects.put("a/1", b"first", absent=True)
    assert not objects.put("a/1", b"second", absent=True)
    assert objects.get("a/1") == b"first"
    assert objects.put("a/1", b"third", absent=False)
    assert objects.get("a/1") == b"third"


def test_keys_come_in_order_over_many_pages_and_after_a_key(
    objects: S3Objects, world: CloudWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")
    names = [f"n/{number:04}" for number in range(35)]
    for name in reversed(names):
        objects.put(name, b"", absent=True)
    objects.put("other", b"", absent=True)
    world.clients.s3.put_object(Bucket=CLEAN, Key="elsewhere", Body=b"")
    assert list(objects.keys("n/")) == names
    assert list(objects.keys("n/", after=names[19])) == names[20:]
    assert list(objects.keys())[-1] == "other"


def test_a_deleted_object_is_absent_and_deleting_again_is_no_error(objects: S3Objects) -> None:
    objects.put("a", b"1", absent=True)
    objects.delete("a")
    objects.delete("a")
    assert objects.get("a") is None
    assert objects.put("a", b"2", absent=True)


def test_objects_are_encrypted_under_the_stacks_key(objects: S3Objects, world: CloudWorld) -> None:
    objects.put("a", b"1", absent=True)
    head = world.clients.s3.head_object(Bucket=CLEAN, Key="log/a")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", world.data_key)


def test_a_writer_whose_answer_was_lost_is_told_that_it_wrote(objects: S3Objects, world: CloudWorld) -> None:
    Faulty(world.clients, lambda _, sent: "after timeout" if sent == 0 else "")
    assert objects.put("a", b"1", absent=True)


def test_a_writer_that_came_second_is_told_so_also_after_a_retry(
    objects: S3Objects, world: CloudWorld
) -> None:
    objects.put("a", b"the same bytes", absent=True)
    Faulty(world.clients, lambda _, sent: "before timeout" if sent == 0 else "")
    assert not objects.put("a", b"the same bytes", absent=True)


@pytest.mark.parametrize("kind", ["timeout", "500", "throttle"])
def test_a_passing_fault_is_retried(objects: S3Objects, world: CloudWorld, kind: str) -> None:
    faulty = Faulty(world.clients, lambda _, sent: f"before {kind}" if sent < 2 else "")
    assert objects.put("a", b"1", absent=True)
    assert len(faulty.sent) == 3


@pytest.mark.parametrize("kind", ["timeout", "500", "throttle", "denied"])
def test_a_lasting_fault_is_ours_and_quotes_nothing(objects: S3Objects, world: CloudWorld, kind: str) -> None:
    faulty = Faulty(world.clients, lambda _, __: f"before {kind}")
    for call in (
        lambda: objects.put("a", b"1", absent=True),
        lambda: objects.get("a"),
        lambda: list(objects.keys()),
        lambda: objects.delete("a"),
    ):
        faulty.sent.clear()
        with pytest.raises(CatalogueError) as caught:
            call()
        assert caught.value.code == "catalogue_unavailable"
        assert "13812345678" not in str(caught.value)
        assert caught.value.__suppress_context__
        assert len(faulty.sent) == ATTEMPTS or (kind == "denied" and len(faulty.sent) <= 2)


def test_the_audit_logs_faults_are_audit_errors(world: CloudWorld) -> None:
    log = S3Objects(world.clients.s3, "no-such-bucket", "log/", world.data_key, audit_fault)
    with pytest.raises(AuditError):
        log.put("a", b"1", absent=True)
    with pytest.raises(AuditError):
        log.get("a")


def test_what_is_absent_is_told_from_what_may_not_be_read(objects: S3Objects, world: CloudWorld) -> None:
    objects.put("there", b"1", absent=True)
    Faulty(world.clients, lambda called, _: "before denied" if called == "GetObject" else "")
    assert objects.get("not there") is None
    with pytest.raises(CatalogueError):
        objects.get("there")
