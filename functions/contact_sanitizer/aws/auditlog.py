"""The audit log of a stack: objects in a locked bucket, sealed each minute with a key that stays in KMS."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.events import Event
from contact_sanitizer.audit.tiles import CHECKPOINT
from contact_sanitizer.aws.faults import Fault, told
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import ListId, moment_of
from contact_sanitizer.ports import Objects, TellKeys

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

    from contact_sanitizer.audit.notes import Verifier
    from contact_sanitizer.audit.plans import Plan

#: How far back a seal looks for segments of writers that were slow or whose clock was.
LATE: Final = 6 * 3_600_000
#: An event whose id is so much older than its writing is noted: sooner than the seal would look past it.
NOTED_AFTER: Final = LATE // 2
#: How long after a look through all that is kept was begun the next one is.
LOOK_AGAIN: Final = 7 * 24 * 3_600_000
READERS: Final = 16
PUBLIC_KEY: Final = "public-key"


def _clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class KmsSigner:
    """Implements `audit.notes.Signer` with an ECDSA P-256 key of KMS. Promises: the key stays in KMS."""

    kms: KMSClient
    key: str
    origin: str

    @cached_property
    def verifier(self) -> Verifier:
        """The public half; its name is the log's origin."""
        # Functions that only append need no cryptography.
        from contact_sanitizer.audit.notes import SignatureType, Verifier  # noqa: PLC0415 - as said above

        with told(_unsealed):
            public = self.kms.get_public_key(KeyId=self.key)["PublicKey"]
        return Verifier(self.origin, SignatureType.ECDSA, public)

    def sign(self, text: bytes) -> bytes:
        """The signature of `text` in ASN.1 DER, another one at each call."""
        with told(_unsealed):
            return self.kms.sign(
                KeyId=self.key, Message=text, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
            )["Signature"]


@dataclass
class StackLog:
    """Implements `ports.AuditLog` on a bucket whose objects nobody can take away while their lock lasts.

    Promises: when `append` returns, the event is there for good; the same event again changes nothing.
    Whoever may not sign cannot seal: a function of its own does, each minute.
    """

    objects: Objects
    signer: Callable[[], KmsSigner]
    heirs: Callable[[], Sequence[KmsSigner]] = tuple
    """The keys that follow it, each after the one before, some of them perhaps since long."""

    clock: Callable[[], int] = _clock
    """Milliseconds since 1970 UTC, as whoever writes has them."""

    def append(self, event: Event) -> None:
        """Keep the event for good, or raise `AuditError`.

        What is announced again keeps its first id and its first time: that of a job which is redriven after
        days would be looked for days ago. Were the note of it lost, looking back finds it.
        """
        if not segments.append(self.objects, [event]):
            return
        now = max(event.at, self.clock())
        if now - moment_of(ListId(event.uid)) > NOTED_AFTER:
            with suppress(AuditError):
                segments.note_late(self.objects, event.uid, now)

    def conclude(self, now: int, *, heartbeat: bool = False) -> None:
        """Nothing: the stack's own function seals what was appended."""

    def seal(self, now: int, plans: dict[int, Plan]) -> int:
        """Seal what waits, or say that nothing does; the log's size. One at a time, in one function.

        `plans`: those that this process has read; they are never changed, and more are put there. Raises
        `AuditError`; then nothing was signed, or the next seal goes on.
        """
        from contact_sanitizer.audit.seal import Sealer, begin_log  # noqa: PLC0415 - one function seals
        from contact_sanitizer.audit.succession import hand_over  # noqa: PLC0415 - as above

        if self.objects.get(CHECKPOINT) is None:
            # The checkpoint comes last: where it is, all that a log begins with is.
            first = self.signer()
            self.objects.put(PUBLIC_KEY, first.verifier.encode().encode() + b"\n", absent=True)
            begin_log(self.objects, first, now)
        signer, heir = self._turn()
        sealer = Sealer(self.objects, signer, window=LATE, readers=READERS, plans=plans)
        newest = sealer.seal(now, heartbeat=True)
        if heir:
            # Until its event is sealed this says so each minute, and the old key goes on.
            newest = hand_over(self.objects, signer, heir, newest, now)
        return newest.size

    def look_back(self, now: int, size: int) -> int:
        """One step through all that is kept, for segments that no seal has noticed; the log's size then."""
        from contact_sanitizer.audit.lookback import LookBack  # noqa: PLC0415 - as above
        from contact_sanitizer.audit.seal import Sealer  # noqa: PLC0415 - as above

        late = LookBack(self.objects, LATE, LOOK_AGAIN, READERS).step(now, size)
        if late is None:
            return size
        sealer = Sealer(self.objects, self._turn()[0], window=LATE, readers=READERS)
        return sealer.seal_late(now, late).size

    def _turn(self) -> tuple[KmsSigner, KmsSigner | None]:
        """Whose turn it is to sign, and who is to follow. Keys that were let go are not asked for."""
        from contact_sanitizer.audit.succession import is_signed_by, newest_note  # noqa: PLC0415 - as above

        heirs = self.heirs()
        following = None
        if heirs:
            note = newest_note(self.objects)
            for heir in reversed(heirs):
                if is_signed_by(note, heir.verifier):
                    return heir, following
                following = heir
        return self.signer(), following

    def rotate_key(self, now: int, randomness: Callable[[int], bytes], tell: TellKeys, to: str = "") -> str:  # noqa: ARG002 - KMS makes keys
        """Announce that the key `to` (an ARN of KMS) follows; returns its verifier key.

        The seal function hands the log over to it once the stack names it as the next one.
        """
        from contact_sanitizer.audit.succession import key_digests  # noqa: PLC0415 - as above

        present, _ = self._turn()
        following = KmsSigner(present.kms, to, present.origin)
        if not to or following.verifier == present.verifier:
            raise AuditError("key_unfit", "say which key of KMS is to follow: --to ARN")
        from contact_sanitizer.protection.signatures import is_p256_key  # noqa: PLC0415 - as above

        if not is_p256_key(following.verifier.material):
            raise AuditError("key_unfit", "the new key is none to sign with: it has to be of ECC_NIST_P256")
        tell(key_digests(present.verifier, following.verifier))
        return following.verifier.encode()

    def public_keys(self) -> str:
        """The verifier key that signs now, as KMS knows it; the log leads from it to those before it."""
        return self._turn()[0].verifier.encode() + "\n"


def _unsealed(fault: Fault) -> AuditError:
    if fault in {Fault.DENIED, Fault.ABSENT}:
        return AuditError("audit_unsealed", "the key that seals the audit log may not be used")
    return AuditError("audit_unsealed", "the audit log could not be sealed; the next seal goes on")
