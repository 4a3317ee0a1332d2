"""Proofs that stand alone: written for any event, checked with the key, refused when anything is bent."""

from __future__ import annotations

import pytest

from contact_sanitizer.audit.prove import check_proof, prove
from contact_sanitizer.errors import AuditError
from logworld import STRANGER, VERIFIERS, entry, event, log_of, newest

LOG = log_of([1, 300])


@pytest.mark.parametrize("index", [0, 1, 255, 256, 299])
def test_a_proof_says_which_event_stands_where(index: int) -> None:
    for wanted in (str(index), event(index).uid):
        proof = prove(LOG, wanted, VERIFIERS)
        proven = check_proof(proof, VERIFIERS)
        assert (proven.entry, proven.index, proven.checkpoint) == (entry(index), index, newest(LOG))
    assert proof.startswith(b"c2sp.org/tlog-proof@v1\nextra ")
    assert proof.endswith(LOG.data["checkpoint"])


@pytest.mark.parametrize(
    "wanted", ["300", "-1", "", "٧", "01KAKV2DC060RK4CSM6MV3EE1S", "9" * 30, "13812345678"]
)
def test_what_was_never_sealed_cannot_be_proven(wanted: str) -> None:
    with pytest.raises(AuditError, match="event_unknown"):
        prove(LOG, wanted, VERIFIERS)


PROOF = prove(LOG, "256", VERIFIERS)
LINES = PROOF.decode().split("\n")


def test_every_bent_byte_of_a_proof_is_refused() -> None:
    for at in range(len(PROOF)):
        bent = PROOF[:at] + bytes([PROOF[at] ^ 1]) + PROOF[at + 1 :]
        with pytest.raises(AuditError, match=r"proof_(malformed|refused)"):
            check_proof(bent, VERIFIERS)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        LINES[:-2],
        [*LINES, "x"],
        ["c2sp.org/tlog-proof@v2", *LINES[1:]],
        [LINES[0], *LINES[2:]],
        [*LINES[:2], "index 0256", *LINES[3:]],
        [*LINES[:2], "index 255", *LINES[3:]],
        [*LINES[:3], *LINES[4:]],
        [*LINES[:3], LINES[3], *LINES[3:]],
        [*LINES[:3], "AAAA", *LINES[4:]],
        [line for line in LINES if line],
    ],
)
def test_a_proof_of_another_form_is_refused(lines: list[str]) -> None:
    with pytest.raises(AuditError, match=r"proof_(malformed|refused)"):
        check_proof("\n".join(lines).encode(), VERIFIERS)


def test_a_proof_under_a_strangers_key_is_refused() -> None:
    with pytest.raises(AuditError, match="proof_refused"):
        check_proof(PROOF, [STRANGER.verifier])
