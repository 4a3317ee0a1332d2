"""What an erasure gives to whoever asked for it: what went, what stays and why. No phone is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from contact_sanitizer.outputs.manifest import rfc3339
from contact_sanitizer.screening.suppression import SuppressionEntry

FORMAT: Final = "contact-sanitizer/erasure/v1"

_AUDIT: Final = (
    "if somebody looked the person up, its events say so by a code that only the tenant's keys and the number"
    " lead to; they say that this erasure happened by a code that only this receipt and the number lead to"
)
_ROWS: Final = "how each row was decided, by its number in the file that was uploaded, without whose it was"
_FILES: Final = (
    "the files that were uploaded and delivered are with those who have them: see 'recipients' and 'may_hold'"
)
_BACKUPS: Final = (
    "what was copied before, by backups or a table's point-in-time recovery, until their terms end"
)
#: Why a delivery says nothing of anybody, where that is as it should be.
EXPIRED: Final = "expired"
_REFUSAL: Final = "so that the person is not contacted again: a keyed code, no number, source or author"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who had been delivered the person, as what, and whether it knew of a refusal; `at`: milliseconds.

    `recall`: `none`, `found` (nobody has acknowledged it) or `acknowledged`.
    """

    delivery: str
    list_id: str
    sender: str
    form: str
    at: int
    recall: str


@dataclass(frozen=True, slots=True)
class MayHold:
    """Who was sent a delivery of which nobody can tell whether the person was on it, as what; `at`: as above.

    `state`: its people are `gone`, although they have to be there, `damaged`, or `expired`: gone with their
    term. Of what expired a receipt names the newest of each sender and form.
    """

    delivery: str
    list_id: str
    sender: str
    form: str
    at: int
    state: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A `list` or `delivery` that could not be looked into.

    `state`: `making`, `failed` (it may be tried again), `gone` (not where it was made) or `damaged`.
    """

    thing: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """One erasure. Moments in milliseconds since 1970 UTC.

    `event`: the audit event that says that it was done. `opening` (64 hex digits): with it and the number,
    `person` is HMAC-SHA-256 of `+` and the digits; nobody else has it. `removed`: how much, by kind.
    """

    erasure: str
    tenant: str
    begun_at: int
    finished_at: int
    event: str
    person: str
    opening: str
    removed: Mapping[str, int]
    refusals: Sequence[Mapping[str, str]]
    recipients: Sequence[Recipient]
    unfinished: Sequence[Unfinished]
    may_hold: Sequence[MayHold] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing was known of the person."""
        return not any(self.removed.values())

    @property
    def is_complete(self) -> bool:
        """Whether everything could be looked into that has to be there."""
        return not self.unfinished and all(each.state == EXPIRED for each in self.may_hold)

    @property
    def counts(self) -> dict[str, int]:
        """What the audit is told: how much was removed, and how much is open."""
        untold = [each.delivery for each in self.may_hold if each.state != EXPIRED]
        damaged = {each.name for each in self.unfinished if each.state == "damaged"}.union(untold)
        met = {"may_hold": len(untold), "damaged": len(damaged)}
        return {
            **self.removed,
            "unfinished": len(self.unfinished),
            **{word: count for word, count in met.items() if count},
        }

    def document(self) -> dict[str, Any]:
        """The receipt as one JSON object, `contact-sanitizer/erasure/v1`."""
        return {
            "format": FORMAT,
            "erasure": self.erasure,
            "tenant": self.tenant,
            "begun_at": rfc3339(self.begun_at),
            "finished_at": rfc3339(self.finished_at),
            "complete": self.is_complete,
            "removed": dict(self.removed),
            "stays": [{"what": what, "why": why} for what, why in self._stays()],
            "recipients": [{**asdict(each), "at": rfc3339(each.at)} for each in self.recipients],
            "may_hold": [{**asdict(each), "at": rfc3339(each.at)} for each in self.may_hold],
            "unfinished": [asdict(each) for each in self.unfinished],
            "audit": {"event": self.event, "person": self.person, "opening": self.opening},
        }

    def _stays(self) -> Iterator[tuple[str, str]]:
        for refusal in self.refusals:
            yield f"refusal: {refusal['scope']}, {refusal['reason']}", _REFUSAL
        yield "audit", _AUDIT
        if self.removed["rows"]:
            yield "verdicts", _ROWS
        if self.recipients or self.may_hold:
            yield "files of others", _FILES
        if not self.is_nothing:
            yield "backups", _BACKUPS

    def kept(self) -> dict[str, Any]:
        """The JSON object that `of` reads."""
        return asdict(self)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Receipt:
        """The receipt that was kept; fails in various ways where it is none."""
        lists = {
            "recipients": tuple(Recipient(**each) for each in kept["recipients"]),
            "unfinished": tuple(Unfinished(**each) for each in kept["unfinished"]),
            "may_hold": tuple(MayHold(**each) for each in kept.get("may_hold", ())),
        }
        return cls(**{**kept, **lists})


def refusals_of(entries: Sequence[SuppressionEntry]) -> list[dict[str, str]]:
    """The refusals that stay, as a receipt tells them."""
    return [{"scope": entry.scope, "reason": entry.reason.value} for entry in entries]
