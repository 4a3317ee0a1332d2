import base64
import hashlib

import numpy as np
import pytest

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.foreign import HashContract, prove_contract, read_digest

DIGITS = b"8613812345678"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("sha256:+E164", hashlib.sha256(b"+8613812345678").digest()),
        ("sha256:digits", hashlib.sha256(b"8613812345678").digest()),
        ("sha1:+E164", hashlib.sha1(b"+8613812345678").digest()),  # noqa: S324 - a list's contract, no secret
        ("md5:digits", hashlib.md5(b"8613812345678").digest()),  # noqa: S324 - as above
    ],
)
def test_a_contract_says_what_is_hashed_and_how(word: str, expected: bytes) -> None:
    contract = HashContract.named(word)
    assert contract.word == word
    assert contract.digest(DIGITS) == expected
    blocks = np.frombuffer(DIGITS.ljust(16, b"\0") * 3, np.uint8).reshape(-1, 16)
    assert [key.tobytes() for key in contract.keys(blocks)] == [expected[:16]] * 3


def test_codes_in_the_registry_stay_what_they_are() -> None:
    assert {contract.code: contract.word for contract in HashContract} == {
        1: "md5:+E164",
        2: "md5:digits",
        3: "sha1:+E164",
        4: "sha1:digits",
        5: "sha256:+E164",
        6: "sha256:digits",
    }
    assert all(HashContract.coded(contract.code) is contract for contract in HashContract)


@pytest.mark.parametrize("contract", list(HashContract))
def test_a_digest_is_read_in_every_spelling(contract: HashContract) -> None:
    digest = contract.digest(DIGITS)
    spellings = [
        digest.hex(),
        digest.hex().upper(),
        f" 0x{digest.hex()} ",
        f'"{digest.hex()}"',
        base64.b64encode(digest).decode(),
        base64.b64encode(digest).decode().rstrip("="),
        base64.urlsafe_b64encode(digest).decode(),
    ]
    assert [read_digest(text) for text in spellings] == [digest] * len(spellings)


@pytest.mark.parametrize("text", ["", "hash", "13812345678", "g" * 32, "a" * 31, "a" * 65, "退订", "=" * 24])
def test_what_is_no_digest_is_not_read_as_one(text: str) -> None:
    assert read_digest(text) is None


def test_a_known_number_proves_one_contract_only() -> None:
    digests = [HashContract.SHA1_PLUS.digest(str(number).encode()) for number in range(50)]
    assert prove_contract(digests, "7") is HashContract.SHA1_PLUS
    with pytest.raises(RegistryError) as caught:
        prove_contract(digests, "77")
    assert caught.value.code == "contract_unproven"


@pytest.mark.parametrize("word", ["", "sha256", "sha512:digits", "sha256:national"])
def test_an_unknown_contract_is_refused(word: str) -> None:
    with pytest.raises(RegistryError) as caught:
        HashContract.named(word)
    assert caught.value.code == "contract_unknown"
