"""Files that only their recipient can read, in the age format (age-encryption.org/v1).

Promises: what is written is unreadable without the recipient's identity, and an altered or shortened file
is refused when it is opened. Does not promise: equal files for equal contents, or hiding the length.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from threading import Thread

import pyrage

from contact_sanitizer.errors import KeyringError

_MOST_WAITING = 4
Buffer = bytes | memoryview


def checked_recipient(text: str) -> str:
    """`text`, if it is an age X25519 recipient (`age1…`); raises `KeyringError` (`recipient_invalid`)."""
    try:
        return str(pyrage.x25519.Recipient.from_str(text))
    except pyrage.RecipientError:
        raise KeyringError(
            "recipient_invalid", "a recipient is an age public key that begins with age1"
        ) from None


class AgeSealer:
    """Encrypts what it is given, piece by piece, for one recipient, and hands it to `write` in order.

    pyrage reads and writes streams, so the encryption has a thread of its own; a few pieces wait at most.
    """

    def __init__(self, recipient: str, write: Callable[[Buffer], object]) -> None:
        self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        self._write = write
        self._pieces: Queue[bytes] = Queue(_MOST_WAITING)
        self._left = memoryview(b"")
        self._ended = False
        self._fault: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, data: Buffer) -> int:
        """Take the next bytes; raises what `write` raised meanwhile."""
        self._raise_fault()
        if len(data):
            # A copy: the caller may use its buffer again before the thread has come to it.
            self._pieces.put(bytes(data))
        return len(data)

    def close(self) -> None:
        """Finish the file: all of it was handed on when this returns."""
        self._pieces.put(b"")
        self._thread.join()
        self._raise_fault()

    def abandon(self) -> None:
        """Stop without finishing; what comes out cannot be opened."""
        if self._thread.is_alive():
            self._fault = self._fault or KeyringError("seal_failed", "the file was given up")
            self._pieces.put(b"")
            self._thread.join()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            pyrage.encrypt_io(_Reader(self._next), _Writer(self._keep), [self._recipient])
        except BaseException:  # noqa: BLE001 - a third party's words could quote; ours were kept before
            failed = KeyringError("seal_failed", "the file could not be encrypted for its recipient")
            self._fault = self._fault or failed
        while not self._ended:  # nobody may wait for a thread that has stopped
            self._ended = not self._pieces.get()

    def _next(self, size: int) -> bytes:
        if not self._left and not self._ended:
            self._left = memoryview(self._pieces.get())
            self._ended = not self._left
        if self._ended and self._fault is not None:
            raise self._fault
        piece, self._left = self._left[:size], self._left[size:]
        return bytes(piece)

    def _keep(self, data: bytes) -> int:
        try:
            self._write(data)
        except BaseException as fault:
            self._fault = fault
            raise
        return len(data)


class _Reader:
    """What pyrage reads from."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


class _Writer:
    """What pyrage writes to."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self.write = write

    def flush(self) -> None:
        """Nothing is kept back."""
