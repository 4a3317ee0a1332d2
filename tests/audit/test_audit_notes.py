"""Notes, keys and checkpoints against the specifications' own examples, and what is not quite one."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contact_sanitizer.audit.checkpoint import Checkpoint, open_checkpoint
from contact_sanitizer.audit.merkle import EMPTY_ROOT
from contact_sanitizer.audit.notes import SignatureType, Verifier, open_note, parse_verifiers, sign_note
from contact_sanitizer.errors import AuditError
from logworld import ORIGIN, SIGNER, STRANGER, VERIFIERS

# c2sp.org/signed-note, "Example".
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()


@dataclass(frozen=True)
class P256Signer:
    """As KMS signs: ECDSA over SHA-256, in DER."""

    key: ec.EllipticCurvePrivateKey

    @property
    def verifier(self) -> Verifier:
        spki = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Verifier(ORIGIN, SignatureType.ECDSA, spki)

    def sign(self, text: bytes) -> bytes:
        return self.key.sign(text, ec.ECDSA(SHA256()))


P256 = P256Signer(ec.derive_private_key(7, ec.SECP256R1()))
P384 = P256Signer(ec.derive_private_key(7, ec.SECP384R1()))


def test_the_example_of_the_specification_is_read() -> None:
    verifiers = parse_verifiers(KEY + "\n")
    assert open_note(NOTE, verifiers) == "This is an example message.\n"
    assert verifiers[0].encode() == KEY


@pytest.mark.parametrize("signer", [SIGNER, P256], ids=["ed25519", "ecdsa"])
def test_what_was_signed_is_opened_with_the_exported_key_alone(signer: P256Signer) -> None:
    verifiers = parse_verifiers(signer.verifier.encode())
    assert verifiers == [signer.verifier]
    note = sign_note("a\n\nb\n", signer)
    assert open_note(note, verifiers) == "a\n\nb\n"
    with pytest.raises(AuditError, match="note_unsigned"):
        open_note(note, [STRANGER.verifier])
    with pytest.raises(AuditError, match="note_unsigned"):
        open_note(note.replace(b"b\n", b"c\n", 1), verifiers)


def test_signatures_of_strangers_are_passed_over_but_a_wrong_one_of_a_known_key_is_not() -> None:
    both = sign_note("a\n", STRANGER) + sign_note("a\n", SIGNER).split(b"\n\n")[1]
    assert open_note(both, VERIFIERS) == "a\n"
    assert open_note(both, [*VERIFIERS, STRANGER.verifier]) == "a\n"
    wrong = sign_note("a\n", SIGNER) + sign_note("b\n", SIGNER).split(b"\n\n")[1]
    with pytest.raises(AuditError, match="note_unsigned"):
        open_note(wrong, VERIFIERS)


BAD_NOTES = {
    "empty": b"",
    "no signature": b"a\n\n",
    "no blank line": NOTE.replace(b"\n\n", b"\n"),
    "no end": NOTE[:-1],
    "hyphen": NOTE.replace("—".encode(), b"-"),
    "two spaces": NOTE.replace(b"foo U", b"foo  U"),
    "carriage return": NOTE.replace(b"\n", b"\r\n"),
    "control": NOTE.replace(b"This", b"\x07his"),
    "not UTF-8": NOTE.replace(b"This", b"\xffhis"),
    "plus in name": NOTE.replace(b"example.com/foo U", b"example+com/foo U"),
    "loose base64": NOTE.replace(b"aQM=", b"aQN="),
    "key id alone": "a\n\n— x AAAAAA==\n".encode(),
    "line between": NOTE.replace("— ".encode(), "x\n— ".encode()),
}


@pytest.mark.parametrize("case", BAD_NOTES)
def test_what_is_not_quite_a_note_is_none(case: str) -> None:
    with pytest.raises(AuditError, match="note_malformed"):
        open_note(BAD_NOTES[case], parse_verifiers(KEY))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        KEY[:-1],
        KEY + "=",
        KEY.replace("530d903a", "530d903b"),
        KEY.replace("+Aek", "+Bek"),
        KEY.replace("+Aek", "+Cek"),
        KEY.upper(),
        KEY.replace("/foo", "/fo o"),
        P384.verifier.encode(),
        KEY + "\n" + SIGNER.verifier.encode(),
    ],
)
def test_what_is_not_quite_a_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(AuditError, match="public_key_invalid"):
        parse_verifiers(text)


CHECKPOINT = Checkpoint(ORIGIN, 70_000, EMPTY_ROOT, 12, 1_790_000_000_000)


@pytest.mark.parametrize("signer", [SIGNER, P256], ids=["ed25519", "ecdsa"])
def test_a_checkpoint_is_a_note_of_origin_size_root_number_and_time(signer: P256Signer) -> None:
    note = CHECKPOINT.signed(signer)
    root = b64encode(EMPTY_ROOT).decode()
    assert note.decode().startswith(f"{ORIGIN}\n70000\n{root}\nseal 12\ntime 1790000000000\n\n— {ORIGIN} ")
    assert open_checkpoint(note, [signer.verifier]) == CHECKPOINT


TEXT = CHECKPOINT.text()


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("70000", "070000"),
        TEXT.replace("70000", "-1"),
        TEXT.replace("70000", "٧٠"),
        TEXT.replace("seal 12\n", ""),
        TEXT.replace("seal", "Seal"),
        TEXT + "more\n",
        TEXT.replace("=", ""),
        TEXT.replace("\nseal", "\n\nseal"),
        TEXT.replace(ORIGIN, ""),
        "a\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(AuditError, match="note_malformed"):
        open_checkpoint(sign_note(text, SIGNER), VERIFIERS)


def test_a_checkpoint_of_another_log_is_refused_though_the_key_is_right() -> None:
    note = sign_note(TEXT.replace(ORIGIN, "other.example/log"), SIGNER)
    with pytest.raises(AuditError, match="note_unsigned"):
        open_checkpoint(note, VERIFIERS)


def test_keys_do_not_show_themselves() -> None:
    assert "s" * 8 not in repr(SIGNER) + repr(SIGNER.key)
