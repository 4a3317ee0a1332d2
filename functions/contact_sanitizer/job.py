"""One run of the main job: what is asked for, and what it works with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.settled import Settled
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.ports import Registry
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.screening.infile import InFileRefusals
from contact_sanitizer.screening.rule import Rule

if TYPE_CHECKING:
    from contact_sanitizer.policy import Policy

Meter = Callable[[str], AbstractContextManager[None]]


def no_meter(_stage: str) -> AbstractContextManager[None]:
    """A meter that measures nothing."""
    return nullcontext()


class Paused(Exception):  # noqa: N818 - no error: what was settled is kept, and the job goes on later
    """The job stopped where it was asked to; another attempt goes on from its last part."""


class Parts(Protocol):
    """What earlier attempts at the same job have settled, so that none of it is done again."""

    def settled(self) -> Iterator[Settled]:
        """The batches that are settled, in order from the first, without a gap."""
        ...

    def keep(self, settled: Settled) -> None:
        """Keeps the next batch; raises `Paused` where the job shall stop here."""
        ...

    def recall_refusals(self, refusals: InFileRefusals) -> bool:
        """Adds the refusals of the whole file, where it was read for them; whether it was."""
        ...

    def keep_refusals(self, refusals: InFileRefusals) -> None:
        """Keeps the refusals of the whole file; batches that were settled without them are dropped."""
        ...

    def clear(self) -> None:
        """Drops everything: the list is made."""
        ...


class NoParts:
    """Nothing is kept: a job that stops begins anew."""

    def settled(self) -> Iterator[Settled]:
        """None."""
        return iter(())

    def keep(self, settled: Settled) -> None:
        """Keeps nothing."""

    def recall_refusals(self, refusals: InFileRefusals) -> bool:  # noqa: ARG002 - as declared
        """There are none."""
        return False

    def keep_refusals(self, refusals: InFileRefusals) -> None:
        """Keeps nothing."""

    def clear(self) -> None:
        """Drops nothing."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run: the list's id, its rules, and the moment it began (milliseconds since 1970 UTC).

    Consents and suppressions are judged at that moment, as the registry was at `change` (None: as it is),
    with the `snapshot` that was settled with it.
    """

    list_id: ListId
    policy: Policy
    started_at: int
    change: int | None = None
    snapshot: str = ""

    @property
    def now(self) -> int:
        """The moment of judgement in seconds."""
        return self.started_at // 1000

    @property
    def rule(self) -> Rule:
        """What has to be allowed, and which refusals count."""
        consent, suppression = self.policy.consent, self.policy.suppression
        return Rule(
            purpose=consent.purpose,
            channel=consent.channel,
            sender=consent.sender,
            max_age_days=consent.max_age_days,
            scopes=frozenset(suppression.scopes),
            register_max_age_days={str(scope): days for scope, days in suppression.max_age_days.items()},
        )


@dataclass(frozen=True, slots=True)
class Manner:
    """How a job is run, which changes none of its bytes; see `Tools`.

    `resume`: where batches are kept once they are settled, by what they belong to.
    """

    progress: Callable[[int], None] = lambda _bytes: None
    meter: Meter = no_meter
    workers: int = 0
    resume: Callable[[str], Parts] = lambda _belongs: NoParts()


@dataclass(frozen=True, slots=True)
class Tools:
    """What the job works with.

    `progress` is told how many bytes of the upload were read since last time. `workers`: how many
    threads prepare and render batches beside the one that judges and writes; the bytes are the same.
    `parts`: what earlier attempts have settled.
    """

    registry: Registry
    keyring: Keyring
    normalizer: Normalizer
    progress: Callable[[int], None] = lambda _bytes: None
    meter: Meter = no_meter
    workers: int = 0
    parts: Parts = field(default_factory=NoParts)
