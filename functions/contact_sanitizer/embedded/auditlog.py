"""The audit log of a home folder: objects in `HOME/audit`, sealed by a key beside it when a command ends."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.events import Event
from contact_sanitizer.embedded.home import Home, sync_folder
from contact_sanitizer.embedded.objectfolder import ObjectFolder
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import sortable_id

if TYPE_CHECKING:
    from contact_sanitizer.audit.seal import Sealer
    from contact_sanitizer.ports import TellKeys

_LOCK = "audit.lock"
_SEED_BYTES = 32


@dataclass
class HomeLog:
    """Implements `ports.AuditLog` in a home.

    Promises: when `append` returns, the event is on disk; when it raises, the caller must not go on. Writers
    of several processes need not know of each other; one of them seals at a time.
    """

    home: Home

    @cached_property
    def objects(self) -> ObjectFolder:
        """What the log is made of."""
        return ObjectFolder(self.home.audit)

    def append(self, event: Event) -> None:
        """Put `event` on disk, or raise `AuditError` (`audit_unwritable`, `audit_missing`)."""
        try:
            there = (self.home.audit / "checkpoint").exists()
        except OSError:
            there = False
        if not there:
            raise AuditError("audit_missing", "the audit log is not where it should be, so nothing was done")
        segments.append(self.objects, [event])

    def conclude(self, now: int, *, heartbeat: bool = False) -> None:
        """Seal what was appended, by whomever; `AuditError` (`audit_unsealed`) where that fails.

        `now`: milliseconds since 1970 UTC. What is not sealed stays and is sealed by the next command.
        """
        if not heartbeat and next(segments.waiting(self.objects), None) is None:
            return
        # Most commands that only look have nothing to seal, and need no cryptography to find that out.
        try:
            with _locked(self.home.root):
                self.objects.sweep()
                self._sealer().seal(now, heartbeat=heartbeat)
        except OSError:
            raise AuditError("audit_unsealed", "the audit log could not be sealed") from None
        except AuditError as error:
            if error.code != "audit_unwritable":
                raise
            message = (
                "the audit log could not be sealed; what was done is in it, and the next command seals it"
            )
            raise AuditError("audit_unsealed", message) from None

    def rotate_key(self, now: int, randomness: Callable[[int], bytes], tell: TellKeys, to: str = "") -> str:
        """Hand the log over to a new key, and let go of the old one; returns the new verifier key.

        `tell` writes the event that announces it. Whatever cuts it off, the same call again goes on, and
        seals in between know which key signs. Raises `AuditError`; then the old key signs on.
        """
        from contact_sanitizer.audit.succession import hand_over, key_digests  # noqa: PLC0415 - as above
        from contact_sanitizer.embedded.auditkey import read_signer, write_signer  # noqa: PLC0415 - as above

        if to:
            raise AuditError("key_unfit", "a home makes its own new key")
        try:
            with _locked(self.home.root):
                self.objects.sweep()
                sealer = self._sealer()
                place, origin = self.home.next_audit_key, sealer.signer.verifier.name
                made = place.exists()
                heir = read_signer(place) if made else write_signer(place, origin, randomness(_SEED_BYTES))
                tell(key_digests(sealer.signer.verifier, heir.verifier))
                newest = sealer.seal(now)
                hand_over(self.objects, sealer.signer, heir, newest, now)
                self._settle()
        except OSError:
            raise AuditError("audit_unsealed", "the audit log could not be handed over") from None
        return heir.verifier.encode()

    def _sealer(self) -> Sealer:
        """Seals with the key whose turn it is; nobody else may seal meanwhile."""
        from contact_sanitizer.audit.seal import Sealer  # noqa: PLC0415 - as said above
        from contact_sanitizer.audit.succession import known_keys  # noqa: PLC0415 - as above
        from contact_sanitizer.embedded.auditkey import read_signer  # noqa: PLC0415 - as above

        self._settle()
        return Sealer(self.objects, read_signer(self.home.audit_key), known_keys(self.objects))

    def _settle(self) -> None:
        """Where the log was handed over to the new key, put it in the old one's place."""
        from contact_sanitizer.audit.succession import is_signed_by, newest_note  # noqa: PLC0415 - as above
        from contact_sanitizer.embedded.auditkey import read_signer  # noqa: PLC0415 - as above

        place = self.home.next_audit_key
        if place.exists() and is_signed_by(newest_note(self.objects), read_signer(place).verifier):
            place.replace(self.home.audit_key)
            sync_folder(self.home.root)

    def public_keys(self) -> str:
        """The verifier key that signs now; the log leads from it to those before it."""
        from contact_sanitizer.embedded.auditkey import read_signer  # noqa: PLC0415 - as above

        return read_signer(self.home.audit_key).verifier.encode() + "\n"

    def lines(self) -> Iterator[bytes]:
        """All events, the sealed ones in their order, then those that wait."""
        from contact_sanitizer.audit.reading import all_entries  # noqa: PLC0415 - for those who look only

        yield from all_entries(self.objects)


def make_log(home: Home, now: int, randomness: Callable[[int], bytes]) -> None:
    """Make the log with a new key where the home is new; a home with tenants that lost its log is refused.

    The log appears whole, by one rename, after its key: a key without a log and without tenants is what a
    crash left, and is replaced.
    """
    from contact_sanitizer.audit.seal import begin_log  # noqa: PLC0415 - once in a home's life
    from contact_sanitizer.embedded.auditkey import write_signer  # noqa: PLC0415 - as above

    partial = home.root / f".audit.{os.getpid()}.partial"
    try:
        with _locked(home.root):
            if (home.audit / "checkpoint").exists():
                return
            if any(not path.name.startswith(".") for path in home.tenants.iterdir()):
                raise AuditError("audit_missing", "the home has lost its audit log, so nothing is done in it")
            for left in home.root.glob(".audit.*.partial"):
                shutil.rmtree(left)
            origin = f"contact-sanitizer/{sortable_id(now, randomness(10))}"
            signer = write_signer(home.audit_key, origin, randomness(_SEED_BYTES))
            partial.mkdir(mode=0o700)
            objects = ObjectFolder(partial)
            objects.put("public-key", signer.verifier.encode().encode() + b"\n", absent=True)
            begin_log(objects, signer, now)
            partial.rename(home.audit)
            sync_folder(home.root)
    except OSError:
        raise AuditError("audit_unwritable", "the audit log cannot be made, so nothing was done") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """While nobody else seals or makes the log of this home."""
    lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
