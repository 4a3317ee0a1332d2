"""The log's signing key changes as the log itself announces, and never otherwise."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from cloudworld import cloud
from commands import command
from contact_sanitizer.audit import segments
from contact_sanitizer.audit.actions import Action, Outcome
from contact_sanitizer.audit.checkpoint import Checkpoint
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.notes import Signer, Verifier, parse_verifiers
from contact_sanitizer.audit.prove import check_proof, prove
from contact_sanitizer.audit.seal import Sealer
from contact_sanitizer.audit.succession import hand_over, key_digests, newest_note
from contact_sanitizer.audit.tiles import CHECKPOINT, kept_checkpoint_key
from contact_sanitizer.audit.verify import Expectations, Verified, verify_log
from contact_sanitizer.aws.auditlog import KmsSigner, StackLog
from contact_sanitizer.aws.objects import S3Objects, audit_fault
from contact_sanitizer.embedded.auditkey import KeySigner, read_signer
from contact_sanitizer.embedded.auditlog import HomeLog
from contact_sanitizer.embedded.home import Home
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import sortable_id
from contact_sanitizer.ports import Objects
from contact_sanitizer.protection.signatures import Ed25519Key
from logworld import ORIGIN, SIGNER, START, STRANGER, MemoryObjects, append, log_of, newest
from trail import operations

A = SIGNER
B, C = (KeySigner(ORIGIN, Ed25519Key(letter * 32)) for letter in (b"b", b"c"))


def telling(former: Verifier, following: Verifier, at: int) -> Event:
    uid = sortable_id(at, following.key_id + b"rekey")
    common = (Action.AUDIT_REKEYED, Outcome.BEGUN, at, "ops", "default", uid, uid)
    return Event(*common, digests=key_digests(former, following))


def go_over(objects: Objects, former: Signer, following: Signer, at: int) -> Checkpoint:
    segments.append(objects, [telling(former.verifier, following.verifier, at)])
    sealed = Sealer(objects, former).seal(at)
    return hand_over(objects, former, following, sealed, at)


def rotated(*signers: Signer) -> MemoryObjects:
    """A log that these keys have signed one after the other, some events each."""
    objects, count = log_of([1, 3], heartbeats=True), 3
    for number, (former, following) in enumerate(pairwise(signers)):
        go_over(objects, former, following, START + (count + 1) * 1000)
        append(objects, range(count + 10, count + 12 + number))
        count += 20
        Sealer(objects, following).seal(START + count * 1000)
        Sealer(objects, following).seal(START + count * 1000 + 10, heartbeat=True)
    return objects


def verified(objects: Objects, *signers: Signer, known: bytes | None = None) -> Verified:
    return verify_log(objects, [signer.verifier for signer in signers], Expectations(known=known))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(AuditError) as raised:
        act()
    return raised.value.code


LOG = rotated(A, B, C)


@pytest.mark.parametrize("given", [(A,), (B,), (C,), (A, B), (C, A), (STRANGER, B)])
def test_any_one_of_a_logs_keys_leads_to_all_others(given: tuple[Signer, ...]) -> None:
    found = verified(LOG, *given)
    assert found.keys == (A.verifier, B.verifier, C.verifier)
    assert found.newest.size == 10
    assert parse_verifiers((LOG.get("public-key") or b"").decode()) == list(reversed(found.keys))


def test_a_stranger_leads_nowhere_and_a_log_that_never_changed_its_key_has_one() -> None:
    assert refusal(lambda: verified(LOG, STRANGER)) == "checkpoint_unsigned"
    assert verified(log_of([3]), A).keys == (A.verifier,)


def test_the_checkpoint_that_hands_over_is_signed_by_both_and_names_both() -> None:
    objects = log_of([3])
    made = go_over(objects, A, B, START + 9_000)
    note = (objects.get(CHECKPOINT) or b"").decode()
    assert f"\nfrom {A.verifier.encode()}\nto {B.verifier.encode()}\n\n" in note
    assert note.count("\u2014 ") == 2
    assert (made.size, made.number) == (4, 3)
    assert verified(objects, B).newest == made


def put(objects: MemoryObjects, number: int, note: bytes) -> None:
    objects.data[kept_checkpoint_key(number)] = note
    objects.data[CHECKPOINT] = note


def following(objects: Objects, at: int = 0) -> Checkpoint:
    last = newest_checkpoint(objects)
    return replace(last, number=last.number + 1, time=last.time + 1 + at, keys=("", ""))


def newest_checkpoint(objects: Objects) -> Checkpoint:
    found = verified(objects, A).newest
    assert found.number
    return found


def test_a_key_that_nobody_announced_is_refused_though_the_verifier_knows_it() -> None:
    objects = log_of([3])
    made = following(objects)
    put(objects, made.number, made.signed(B))
    assert refusal(lambda: verified(objects, A)) == "checkpoint_unsigned"
    assert refusal(lambda: verified(objects, A, B)) == "key_unannounced"


def test_a_key_that_was_let_go_signs_no_more() -> None:
    objects = rotated(A, B)
    made = following(objects)
    for signers in ((A,), (A, STRANGER)):
        put(objects, made.number, made.signed(*signers))
        assert refusal(lambda: verified(objects, A)) == "key_unannounced"
        assert refusal(lambda: verified(objects, B)) in {"key_unannounced", "checkpoint_unsigned"}
    put(objects, made.number, made.signed(A, B))
    assert verified(objects, A).newest == made
    assert refusal(lambda: Sealer(rotated(A, B), A, (B.verifier,)).seal(START + 99_000)) == "key_retired"


@pytest.mark.parametrize("signers", [(A,), (B,), (STRANGER, B), (A, STRANGER)])
def test_a_handover_that_not_both_keys_signed_is_refused(signers: tuple[Signer, ...]) -> None:
    objects = log_of([3])
    segments.append(objects, [telling(A.verifier, B.verifier, START + 9_000)])
    Sealer(objects, A).seal(START + 9_000)
    made = replace(following(objects), keys=(A.verifier.encode(), B.verifier.encode()))
    put(objects, made.number, made.signed(*signers))
    for given in (A, B):
        assert refusal(lambda given=given: verified(objects, given)) in {  # type: ignore[misc] # a default binds it
            "key_unannounced",
            "checkpoint_unsigned",
        }
    put(objects, made.number, made.signed(A, B))
    assert verified(objects, A).keys == (A.verifier, B.verifier)


def test_a_handover_of_which_no_event_tells_is_refused_and_never_made() -> None:
    objects = log_of([3])
    sealed = newest(objects)
    assert refusal(lambda: hand_over(objects, A, B, sealed, START + 9_000)) == "key_unannounced"
    segments.append(objects, [telling(A.verifier, C.verifier, START + 9_000)])
    sealed = Sealer(objects, A).seal(START + 9_000)
    assert refusal(lambda: hand_over(objects, A, B, sealed, START + 9_000)) == "key_unannounced"
    assert newest_note(objects).count(b"\nfrom ") == 0
    made = replace(following(objects), keys=(A.verifier.encode(), B.verifier.encode()))
    put(objects, made.number, made.signed(A, B))
    assert refusal(lambda: verified(objects, A)) == "key_unannounced"


@pytest.mark.parametrize(
    "keys",
    [
        (B.verifier.encode(), A.verifier.encode()),
        (A.verifier.encode(), A.verifier.encode()),
        (A.verifier.encode(), "none"),
        ("none", B.verifier.encode()),
        (A.verifier.encode(), replace(B.verifier, name="other.example/log").encode()),
    ],
)
def test_a_handover_that_names_other_keys_is_refused(keys: tuple[str, str]) -> None:
    objects = log_of([3])
    made = replace(following(objects), keys=keys)
    put(objects, made.number, made.signed(A, B))
    assert refusal(lambda: verified(objects, A)) == "key_unannounced"


def test_every_flipped_bit_of_a_handover_is_found_with_any_key() -> None:
    number = next(n for n in range(20) if b"\nfrom " in (LOG.get(kept_checkpoint_key(n)) or b""))
    note = LOG.get(kept_checkpoint_key(number)) or b""
    for position in range(0, len(note), 7):
        bent = bytearray(note)
        bent[position] ^= 1 << position % 8
        objects = MemoryObjects({**LOG.data, kept_checkpoint_key(number): bytes(bent)})
        for given in (A, B, C):
            assert refusal(lambda given=given, objects=objects: verified(objects, given))  # type: ignore[misc] # defaults bind them


def test_a_history_that_only_the_old_key_signed_anew_does_not_fit_the_new_one() -> None:
    """Somebody has the old key: what they make of the past is not what the new key has signed."""
    forged = log_of([1, 3], heartbeats=True)
    append(forged, [4])
    Sealer(forged, A).seal(START + 4_000)
    for number in range(30):
        key = kept_checkpoint_key(number)
        if key in LOG.data and key not in forged.data:
            forged.data[key] = LOG.data[key]
    forged.data[CHECKPOINT] = LOG.data[CHECKPOINT]
    for given in (A, B, C):
        assert refusal(lambda given=given: verified(forged, given))  # type: ignore[misc] # a default binds it


def test_a_kept_checkpoint_of_either_key_is_compared() -> None:
    for number in (1, newest_checkpoint(LOG).number):
        kept = LOG.data[kept_checkpoint_key(number)]
        assert verified(LOG, B, known=kept).newest.size == 10
    older = rotated(A, B)
    assert refusal(lambda: verified(older, A, known=LOG.data[CHECKPOINT])) in {
        "checkpoint_unsigned",
        "checkpoint_behind",
    }


def test_proofs_name_the_key_that_signed_their_checkpoint() -> None:
    proof = prove(LOG, "2", [C.verifier])
    assert check_proof(proof, [C.verifier]).index == 2
    assert refusal(lambda: check_proof(proof, [A.verifier])) == "proof_refused"


# A home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    place = tmp_path / "home"
    assert command("init", home=place).status == 0
    (tmp_path / "old").write_text(command("audit", "key", home=place).out)
    return place


def key_of(home: Path) -> str:
    return command("audit", "key", home=home).out.strip()


def test_a_home_changes_its_key_and_both_keys_verify_it(home: Path) -> None:
    old = (home.parent / "old").read_text().strip()
    seed = json.loads((home / "audit-key.json").read_text())["seed"]
    said = command("audit", "rotate-key", "--json", home=home).document
    assert said == {"key": key_of(home), "handed_over": True}
    assert said["key"] != old
    assert not (home / "audit-key-next.json").exists()
    assert not [path for path in home.rglob("*") if path.is_file() and seed.encode() in path.read_bytes()]
    assert (home / "audit-key.json").stat().st_mode & 0o777 == 0o600
    assert operations(home)[-1] == "audit.rekeyed"
    command("block", "add", "-", "--reason", "opted_out", home=home, give=b"13812345678\n")
    (home.parent / "new").write_text(key_of(home))
    for name in ("old", "new"):
        found = command("audit", "verify", home / "audit", "--public-key", home.parent / name, "--json")
        assert found.document["keys"] == [old, said["key"]]
    text = command("audit", "verify", home=home).out
    assert "Its signing key changed 1 times, each time as the log announced." in text
    assert command("audit", "rotate-key", "--to", "arn:x", home=home).code == "key_unfit"


def test_a_key_that_was_exchanged_by_hand_signs_nothing(home: Path) -> None:
    stranger = {"format": "contact-sanitizer/audit-key/v1", "seed": b64encode(b"x" * 32).decode()}
    stated = json.loads((home / "audit-key.json").read_text())
    (home / "audit-key.json").write_text(json.dumps({**stated, **stranger}))
    said = command("block", "add", "-", "--reason", "opted_out", home=home, give=b"13812345678\n")
    assert said.status == 1
    assert "audit_damaged" in said.err or "key_retired" in said.err
    found = command("audit", "verify", home / "audit", "--public-key", home.parent / "old", "--json").document
    assert found["waiting"] == 1


class Cut(Exception):  # noqa: N818 - a stand-in for the end of the process
    """The process ends here."""


@pytest.mark.parametrize("at", range(14))
def test_a_change_of_keys_that_is_cut_off_anywhere_is_finished_by_the_next(
    at: int, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = HomeLog(Home(home))
    calls, put_once = 0, type(log.objects).put

    def cut(_call: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at + 1:
            raise Cut

    def cutting(objects: ObjectFolder, key: str, data: bytes, *, absent: bool) -> bool:
        cut(key)
        done = put_once(objects, key, data, absent=absent)
        cut(key)
        return done

    def tell(digests: Mapping[str, str]) -> None:
        uid = sortable_id(START, sha256(str(digests).encode()).digest())
        common = (Action.AUDIT_REKEYED, Outcome.BEGUN, START, "ops", "default", uid, uid)
        log.append(Event(*common, digests=digests))

    monkeypatch.setattr(type(log.objects), "put", cutting)
    ended = False
    try:
        log.rotate_key(START + 9_000_000_000, lambda size: b"n" * size, tell)
        ended = True
    except Cut:
        pass
    monkeypatch.setattr(type(log.objects), "put", put_once)
    assert ended == (calls <= at)
    command("block", "add", "-", "--reason", "opted_out", home=home, give=b"13812345678\n")
    found = command("audit", "verify", home / "audit", "--public-key", home.parent / "old", "--json")
    assert found.status == 0, found
    assert found.document["keys"][-1] == key_of(home)
    assert command("audit", "rotate-key", home=home).status == 0
    again = command("audit", "verify", home / "audit", "--public-key", home.parent / "old", "--json").document
    assert again["keys"][-1] == key_of(home)
    assert again["keys"][-1] != found.document["keys"][-1] or len(again["keys"]) == 2


def test_where_the_event_cannot_be_written_the_key_stays(home: Path) -> None:
    before = key_of(home)
    shutil.rmtree(home / "audit" / "segments", ignore_errors=True)
    (home / "audit" / "segments").write_bytes(b"no folder")
    assert command("audit", "rotate-key", home=home).status == 1
    assert read_signer(home / "audit-key.json").verifier.encode() == before


# A stack


def test_a_stack_goes_over_to_a_second_key_of_kms_once_its_event_is_sealed() -> None:
    with cloud() as world:
        kms = world.clients.kms
        made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        wrong = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        objects = S3Objects(world.clients.s3, "demo-audit", "log/", "", audit_fault)
        origin = "contact-sanitizer/demo"
        first_key, next_keys = world.seal_key, list[str]()
        log = StackLog(
            objects,
            lambda: KmsSigner(kms, first_key, origin),
            lambda: [KmsSigner(kms, arn, origin) for arn in next_keys],
        )
        assert log.seal(START, {}) == 0
        old = parse_verifiers(log.public_keys())
        next_keys = [made]
        # nobody has announced it: the old key seals, and says so
        assert refusal(lambda: log.seal(START + 60_000, {})) == "key_unannounced"
        assert verify_log(objects, old).checkpoints >= 2

        def tell(digests: Mapping[str, str]) -> None:
            uid = sortable_id(START + 70_000, sha256(str(digests).encode()).digest())
            common = (Action.AUDIT_REKEYED, Outcome.BEGUN, START + 70_000, "ops", "default", uid, uid)
            log.append(Event(*common, digests=digests))

        for to in ("", world.seal_key, wrong):
            assert refusal(lambda to=to: log.rotate_key(START, bytes, tell, to)) == "key_unfit"  # type: ignore[misc] # as above
        new = log.rotate_key(START, bytes, tell, made)
        assert log.seal(START + 120_000, {}) == 1
        assert log.seal(START + 180_000, {}) == 1
        for given in (old, parse_verifiers(new)):
            assert [key.encode() for key in verify_log(objects, given).keys] == [old[0].encode(), new]
        assert newest_note(objects).count(b"\n\xe2\x80\x94 ") == 1
        assert log.public_keys() == new + "\n"
        back = StackLog(objects, lambda: KmsSigner(kms, world.seal_key, origin))
        assert refusal(lambda: back.seal(START + 300_000, {})) in {"audit_damaged", "key_retired"}
        # the first key is asked for no more, and a third one follows
        first_key = "alias/disabled"
        third = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        newer = log.rotate_key(START, bytes, tell, third)
        next_keys = [made, third]
        assert log.seal(START + 360_000, {}) == 2
        assert log.seal(START + 420_000, {}) == 2
        found = [key.encode() for key in verify_log(objects, parse_verifiers(new)).keys]
        assert found == [old[0].encode(), new, newer]
