from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cryptography_vectors
import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from contact_sanitizer.protection.aes import BlockCmac, BlockSiv
from contact_sanitizer.protection.hashes import hmac_sha256
from contact_sanitizer.protection.keyring import hkdf_sha256

VECTORS = Path(__file__).parents[1] / "vectors"
BLOCK_HEX = 32


def published(*path: str) -> list[dict[str, str]]:
    """The records of one file of `cryptography-vectors`; a name met again begins the next."""
    records: list[dict[str, str]] = [{}]
    with cryptography_vectors.open_vector_file(str(Path(*path)), "r") as file:
        lines = [line.partition("=") for line in file.read().splitlines() if not line.startswith("#")]
    for name, value in ((name.strip().lower(), value.strip()) for name, found, value in lines if found):
        if name in records[-1]:
            records.append({})
        records[-1][name] = value
    return records


def wycheproof(name: str) -> list[dict[str, Any]]:
    groups = json.loads((VECTORS / f"wycheproof_{name}.json").read_text("utf-8"))["testGroups"]
    return [test | {"tagSize": group.get("tagSize")} for group in groups for test in group["tests"]]


def rows(text: str, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, width)


def opens(siv: BlockSiv, sealed: str) -> str | None:
    blocks, authentic = siv.decrypt(rows(sealed, 32))
    return blocks.tobytes().hex() if authentic[0] else None


def test_the_block_cmac_gives_the_tags_of_nist_sp_800_38b() -> None:
    vectors = [
        record
        for size in ("128", "192", "256")
        for record in published("CMAC", f"nist-800-38b-aes{size}.txt")
        if len(record.get("message", "")) == BLOCK_HEX
    ]
    assert len(vectors) == 3
    for vector in vectors:
        tag = BlockCmac(bytes.fromhex(vector["key"])).tags(rows(vector["message"], 16))
        assert tag.tobytes().hex() == vector["output"]


def test_the_block_siv_makes_and_opens_every_one_block_vector_of_wycheproof() -> None:
    vectors = [test for test in wycheproof("aes_siv_cmac") if len(test["msg"]) == BLOCK_HEX]
    assert [test["result"] for test in vectors].count("valid") == 33
    assert len(vectors) == 114
    for vector in vectors:
        siv = BlockSiv(bytes.fromhex(vector["key"]), bytes.fromhex(vector["aad"]))
        valid = vector["result"] == "valid"
        assert (siv.encrypt(rows(vector["msg"], 16)).tobytes().hex() == vector["ct"]) == valid
        assert opens(siv, vector["ct"]) == (vector["msg"] if valid else None)


def test_the_siv_that_encrypts_cells_holds_all_of_wycheproof() -> None:
    vectors = wycheproof("aes_siv_cmac")
    assert len(vectors) == 442
    for vector in vectors:
        siv = AESSIV(bytes.fromhex(vector["key"]))
        data = [bytes.fromhex(vector["aad"])]
        if vector["result"] == "valid":
            assert siv.decrypt(bytes.fromhex(vector["ct"]), data).hex() == vector["msg"]
        else:
            with pytest.raises(InvalidTag):
                siv.decrypt(bytes.fromhex(vector["ct"]), data)


def test_the_siv_that_encrypts_cells_holds_the_vectors_of_rfc_5297() -> None:
    vectors = published("ciphers", "AES", "SIV", "openssl.txt")
    assert vectors
    for vector in vectors:
        data = [bytes.fromhex(vector[name]) for name in ("aad", "aad2", "aad3") if name in vector]
        sealed = AESSIV(bytes.fromhex(vector["key"])).encrypt(bytes.fromhex(vector["plaintext"]), data)
        assert sealed.hex() == vector["tag"] + vector["ciphertext"]


def test_hkdf_gives_the_keys_of_rfc_5869() -> None:
    vectors = published("KDF", "rfc-5869-HKDF-SHA256.txt")
    complete = [vector for vector in vectors if "okm" in vector]
    assert len(complete) == 3
    for vector in complete:
        key = hkdf_sha256(
            bytes.fromhex(vector["ikm"]),
            salt=bytes.fromhex(vector["salt"]),
            info=bytes.fromhex(vector["info"]),
            size=int(vector["l"]),
        )
        assert key.hex() == vector["okm"]


def test_hmac_gives_the_codes_of_rfc_4231() -> None:
    vectors = [vector for vector in published("HMAC", "rfc-4231-sha256.txt") if "md" in vector]
    assert len(vectors) >= 6
    for vector in vectors:
        code = hmac_sha256(bytes.fromhex(vector["key"]), bytes.fromhex(vector["msg"]))
        assert code.startswith(vector["md"])


def test_hmac_holds_all_of_wycheproof() -> None:
    vectors = wycheproof("hmac_sha256")
    assert len(vectors) == 174
    for vector in vectors:
        code = hmac_sha256(bytes.fromhex(vector["key"]), bytes.fromhex(vector["msg"]))
        assert (code[: vector["tagSize"] // 4] == vector["tag"]) == (vector["result"] == "valid")
