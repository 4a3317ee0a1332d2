from __future__ import annotations

import pyrage
import pytest

from contact_sanitizer.errors import KeyringError, OutputError
from contact_sanitizer.protection.agefile import AgeSealer, Buffer, checked_recipient

IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENT = str(IDENTITY.to_public())


@pytest.mark.parametrize("sizes", [[], [0], [1], [65_536], [65_535, 2], [1, 0, 300_000, 7], [1 << 20] * 9])
def test_what_was_written_piece_by_piece_opens_for_its_recipient(sizes: list[int]) -> None:
    out = bytearray()
    sealer = AgeSealer(RECIPIENT, out.extend)
    pieces = [bytes([number]) * size for number, size in enumerate(sizes, 65)]
    for piece in pieces:
        assert sealer.write(memoryview(piece)) == len(piece)
    sealer.close()
    assert pyrage.decrypt(bytes(out), [IDENTITY]) == b"".join(pieces)


def test_a_buffer_may_be_used_again_at_once() -> None:
    out = bytearray()
    sealer = AgeSealer(RECIPIENT, out.extend)
    buffer = bytearray(b"a" * 1000)
    sealer.write(memoryview(buffer))
    buffer[:] = b"b" * 1000
    sealer.close()
    assert pyrage.decrypt(bytes(out), [IDENTITY]) == b"a" * 1000


@pytest.mark.parametrize("pieces", [1, 40])
def test_a_write_that_fails_fails_the_whole_with_its_own_error(pieces: int) -> None:
    def refuse(_data: Buffer) -> None:
        raise OutputError("out_full", "there is no room left where the results are written")

    sealer = AgeSealer(RECIPIENT, refuse)

    def write_all() -> None:
        for _ in range(pieces):
            sealer.write(b"x" * 200_000)
        sealer.close()

    with pytest.raises(OutputError, match="out_full"):
        write_all()
    sealer.abandon()


def test_what_was_given_up_does_not_open() -> None:
    out = bytearray()
    sealer = AgeSealer(RECIPIENT, out.extend)
    sealer.write(b"x" * 1_000_000)
    sealer.abandon()
    sealer.abandon()
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(bytes(out), [IDENTITY])


@pytest.mark.parametrize(
    "text", ["", "age1", "x" * 62, str(IDENTITY), "ssh-ed25519 AAAA", "age1" + "q" * 58], ids=len
)
def test_what_is_no_recipient_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(KeyringError, match="recipient_invalid") as raised:
        checked_recipient(text)
    assert len(text) < 5 or text not in str(raised.value)
