"""The sender's file on its way: digested as it is meant, encrypted where the sender wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import TracebackType
from typing import BinaryIO, Final, Self

from contact_sanitizer.delivery.senders import day_of
from contact_sanitizer.outputs.digesting import Buffer, DigestingFile
from contact_sanitizer.protection.agefile import AgeSealer
from contact_sanitizer.protection.digests import UploadDigest
from contact_sanitizer.protection.keyring import Keyring

_PIECE: Final = 1 << 20


def identity_of(about: Sequence[str | None], now: int) -> bytes:
    """What was asked for, and on which day (`now`: Unix seconds).

    `about`: list, sender, purpose, form, format, and the key to which the file is encrypted, if it is.
    """
    return json.dumps([*about, day_of(now)]).encode()


def content_digest(file: BinaryIO, keyring: Keyring, identity: bytes) -> str:
    """The digest that `DeliveryContent` took when it wrote what is in this file, which is not encrypted."""
    digest = UploadDigest(keyring)
    digest.update(identity)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


class DeliveryContent:
    """An `Outlet` before a file; a context manager: without `finish`, leaving it gives the file up.

    `digest` is keyed, and of what was asked for (`identity`) and written, before encryption: equal for equal
    deliveries, while an encrypted file is another one each time.
    """

    closed = False

    def __init__(self, file: DigestingFile, seal_to: str | None, keyring: Keyring, identity: bytes) -> None:
        self._file = file
        self._sealer = AgeSealer(seal_to, file.write) if seal_to else None
        self._target = self._sealer or file
        self._digest = UploadDigest(keyring)
        self._digest.update(identity)
        self._size = 0
        self._open = True

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()

    def write(self, data: Buffer, /) -> int:
        """Append `data`."""
        view = memoryview(data).cast("B")
        if self._open:
            self._digest.update(view)
            self._target.write(view)
            self._size += len(view)
        return len(view)

    def tell(self) -> int:
        """The number of bytes taken."""
        return self._size

    def flush(self) -> None:
        """Nothing is kept back that would have to go now."""

    def finish(self) -> None:
        """All of it is on disk when this returns."""
        self._open = False
        if self._sealer:
            self._sealer.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            # Arrow's writers complete their file when they are collected, also after a failure.
            self._open = False
            if self._sealer:
                self._sealer.abandon()
            self._file.abandon()
