"""Tokens to numbers, for a sender that is about to use them.

Each person is asked for in the registry at that moment, under every use that the token may have come from.
Of a token the caller learns that it is not its own or no token (`not_redeemable`, one word for all of that),
or that its person may not be contacted (`refused`), as far as anybody knows: who is not known to have been on
a delivery was not. The audit tells the cases apart.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.catalogue import Catalogue
from contact_sanitizer.delivery.damage import DAMAGED, looked_at_twice
from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.people import is_among
from contact_sanitizer.delivery.senders import Right, Sender, SenderDesk, day_of
from contact_sanitizer.errors import DeliveryError, IntakeError
from contact_sanitizer.protection.blocks import Blocks, digits_of
from contact_sanitizer.protection.subjects import subjects as subjects_of
from contact_sanitizer.protection.tokens import TokenOpener
from contact_sanitizer.protection.wire import Refusal
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.screening.rule import name_of
from contact_sanitizer.screening.verdict import Drop
from contact_sanitizer.terms import Use

MOST_TOKENS: Final = 1000
REDEMPTION: Final = "redemption"
_MOST_AUDIENCES: Final = 64
#: What no use of any list outweighs.
_REFUSED: Final = np.uint8(Drop.SUPPRESSED | Drop.CONSENT_WITHDRAWN)


class Unredeemed(StrEnum):
    """Why the caller gets no number."""

    NOT_REDEEMABLE = "not_redeemable"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, repr=False)
class Redeemed:
    """What became of each token, in order: its number (E.164), or why there is none."""

    phones: list[str | None]
    refusals: list[Unredeemed | None]
    change: int

    def __len__(self) -> int:
        return len(self.phones)

    def __repr__(self) -> str:
        return f"Redeemed({len(self)})"


def redeem(tokens: Sequence[str], name: str, purpose: str, desk: DeliveryDesk) -> Redeemed:
    """Redeem at most 1,000 tokens in a sender's name.

    All of them count against its quotas, also those that are none. Raises `DeliveryError` where the sender
    may not redeem, asks for too many (`quota_exceeded`, `too_many_tokens`), or a delivery's people cannot be
    read now (`people_damaged`); that is an event too, and so is a note that is not what was written.
    """
    about: dict[str, Any] = {}
    try:
        sender = SenderDesk(desk.records, desk.announce).find(name)
        about |= {"sender": plain_word(sender.name)}
        sender.authorize(purpose, Right.TOKENS, desk.clock() // 1000)
        about |= {"purpose": plain_word(name_of(purpose))}
        _spend(sender, len(tokens), desk)
    except DeliveryError as error:
        counts = {"tokens": len(tokens)}
        desk.announce(Action.TOKENS_DENIED, outcome=Outcome.FAILURE, code=error.code, counts=counts, **about)
        raise
    return _redeem(tokens, sender, purpose, desk, about)


def _spend(sender: Sender, amount: int, desk: DeliveryDesk) -> None:
    if amount > MOST_TOKENS:
        raise DeliveryError("too_many_tokens", f"at most {MOST_TOKENS} tokens are redeemed at once")
    now = desk.clock() // 1000
    for limit, window in (
        (sender.quotas.redemptions_a_minute, f"minute/{now // 60}"),
        (sender.quotas.redemptions_a_day, f"day/{day_of(now)}"),
    ):
        if limit is not None and not desk.records.spend(f"redeem/{sender.name}/{window}", amount, limit):
            span = window.partition("/")[0]
            raise DeliveryError(
                "quota_exceeded", f"the sender's redemptions of this {span} would be exceeded"
            )


def _redeem(
    tokens: Sequence[str], sender: Sender, purpose: str, desk: DeliveryDesk, about: Mapping[str, Any]
) -> Redeemed:
    now = desk.clock() // 1000
    found = _open(tokens, sender, desk)
    judge = _Judge(desk, purpose, now, about)
    may = np.zeros(len(tokens), np.bool_)
    for number, audience in enumerate(sender.all_audiences):
        rows = np.flatnonzero(found.audiences == number)
        if len(rows):
            may[rows] = judge.may_be_used(found.blocks[rows], found.subjects[rows], audience)
            if audience in judge.unused:
                found.audiences[rows] = _NOBODY
    counts = _counts(tokens, found, may, desk)
    desk.announce(Action.TOKENS_REDEEMED, counts=counts, registry_change=judge.change, **about)
    _keep(found.subjects[may], sender, counts, desk, judge)
    phones = np.full(len(tokens), None, np.object_)
    phones[may] = [f"+{digits}" for digits in digits_of(found.blocks[may])]
    words = _WORDS[np.where(may, 0, np.where(found.audiences >= 0, 1, 2))]
    return Redeemed(phones.tolist(), words.tolist(), judge.change)


_WORDS: Final = np.array([None, Unredeemed.REFUSED, Unredeemed.NOT_REDEEMABLE], np.object_)
_NOBODY: Final = -1


@dataclass(slots=True, repr=False)
class _Found:
    """Tokens opened: blocks and subjects (n, 16), which of the sender's audiences opened each, why not.

    Where no audience did (-1), block and subject are nobody's.
    """

    blocks: Blocks
    subjects: Blocks
    audiences: NDArray[np.int64]
    refusals: NDArray[np.uint8]


def _open(tokens: Sequence[str], sender: Sender, desk: DeliveryDesk) -> _Found:
    cells = pa.array(tokens if "".join(tokens).isascii() else _ascii_only(tokens), pa.string())
    blocks = np.zeros((len(tokens), 16), np.uint8)
    audiences = np.full(len(tokens), _NOBODY, np.int64)
    refusals = np.full(len(tokens), Refusal.TOKEN_REFUSED, np.uint8)
    for number, audience in enumerate(sender.all_audiences):
        opened = TokenOpener(desk.keyring, audience).open_many(cells)
        rows = np.flatnonzero(opened.refusals == 0)
        blocks[rows], audiences[rows] = opened.blocks[rows], number
        refusals = np.where(audiences == _NOBODY, opened.refusals, 0).astype(np.uint8)
    return _Found(blocks, subjects_of(blocks, desk.keyring), audiences, refusals)


def _ascii_only(tokens: Sequence[str]) -> list[str]:
    """The tokens; what no token can be, and Arrow may not take, is empty."""
    return [token if token.isascii() else "" for token in tokens]


class _Judge:
    """Says who may be used now, under the uses that tokens of an audience have."""

    def __init__(self, desk: DeliveryDesk, purpose: str, now: int, about: Mapping[str, Any]) -> None:
        self.change = desk.registry.standing().change
        self.unused: set[str] = set()
        self._desk = desk
        self._purpose = purpose
        self._now = now
        self._about = about

    def may_be_used(self, blocks: Blocks, subjects: Blocks, audience: str) -> NDArray[np.bool_]:
        """Whether each of these people may be contacted: bool (n,).

        Where uses disagree, only one counts whose delivery the person was on; a refusal under any is one.
        """
        uses = Catalogue(self._desk.records).uses(audience, self._purpose)
        if not uses:
            self.unused.add(audience)
            return np.zeros(len(blocks), np.bool_)
        bits = self._bits(uses, Candidates.of(subjects, blocks))
        allowed = bits == 0
        agreed: NDArray[np.bool_] = allowed.all(axis=0)
        unsure = np.flatnonzero(allowed.any(axis=0) & ~agreed & ~(bits & _REFUSED).any(axis=0))
        if len(unsure):
            agreed[unsure] = self._was_delivered(uses, allowed[:, unsure], subjects[unsure])
        return agreed

    def _bits(self, uses: Sequence[Use], candidates: Candidates) -> NDArray[np.uint8]:
        """The `Drop` bits under each use: uint8 (uses, n); uses of one rule ask the registry once."""
        by_rule: dict[bytes, NDArray[np.uint8]] = {}
        for use in uses:
            if use.rule.digest not in by_rule:
                by_rule[use.rule.digest] = self._desk.registry.ask(use.rule, self._now, candidates)
        return np.stack([use.weigh(by_rule[use.rule.digest], self._now) for use in uses])

    def _was_delivered(
        self, uses: Sequence[Use], allowed: NDArray[np.bool_], subjects: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """Whether each person is known to have been on a delivery of a use that allows them."""
        found = np.zeros(len(subjects), np.bool_)
        damaged = []
        for use, by_use in zip(uses, allowed, strict=True):
            for delivery in Deliveries(self._desk.records).of_use(use):
                among = self._is_among(delivery, subjects)
                if among is None:
                    damaged.append((delivery, by_use))
                else:
                    found |= by_use & among
        for delivery, by_use in damaged:
            self._say_damaged(delivery, int((by_use & ~found).sum()))
        return found

    def _is_among(self, delivery: Delivery, subjects: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        """Whether each of them was on a delivery; None where its note is not what was written.

        One whose people are no longer kept speaks for nobody. Raises `DeliveryError` (`people_damaged`) where
        the note is not to be had now: the same call may be answered later.
        """
        name, known = delivery.delivery_id, Deliveries(self._desk.records)
        note = self._desk.shelf.people(name)
        try:
            # Whoever erases somebody replaces the note and then its record: both are read anew.
            return looked_at_twice(lambda: is_among(note, known.get(name).people, subjects), [note])
        except IntakeError:
            self._say_damaged(delivery, len(subjects))
            message = f"the note of who was on delivery {name} cannot be read"
            raise DeliveryError("people_damaged", message) from None
        except DeliveryError as error:
            if error.code in DAMAGED:
                return None
            if error.code != "people_gone":
                raise
            return np.zeros(len(subjects), np.bool_)

    def _say_damaged(self, delivery: Delivery, tokens: int) -> None:
        """Tell the log whose note is damaged, and how many tokens it would have been needed for."""
        self._desk.announce(
            Action.TOKENS_DENIED,
            outcome=Outcome.FAILURE,
            code="people_damaged",
            list_id=delivery.list_id,
            delivery_id=delivery.delivery_id,
            counts={"tokens": tokens},
            **self._about,
        )


def _counts(
    tokens: Sequence[str], found: _Found, may: NDArray[np.bool_], desk: DeliveryDesk
) -> dict[str, int]:
    """What the audit is told; the words of zero are left out."""
    opened = found.refusals == 0
    counts = {
        "tokens": len(tokens),
        "redeemed": int(may.sum()),
        "refused": int((~may & (found.audiences >= 0)).sum()),
        "other_purpose": int((opened & (found.audiences == _NOBODY)).sum()),
    }
    for refusal in (Refusal.TOKEN_MALFORMED, Refusal.KEY_UNKNOWN, Refusal.KEY_DESTROYED):
        counts[refusal.code] = int((found.refusals == refusal).sum())
    strangers = np.flatnonzero(found.refusals == Refusal.TOKEN_REFUSED)
    counts["other_audience"] = (
        _of_others([tokens[row] for row in strangers.tolist()], desk) if len(strangers) else 0
    )
    counts["token_forged"] = len(strangers) - counts["other_audience"]
    return {word: count for word, count in counts.items() if count or word in {"tokens", "redeemed"}}


def _of_others(tokens: Sequence[str], desk: DeliveryDesk) -> int:
    """How many of these tokens were made for somebody else within the tenant."""
    senders = SenderDesk(desk.records, desk.announce).all()
    audiences = dict.fromkeys(name for sender in senders for name in sender.all_audiences)
    audiences |= dict.fromkeys(Catalogue(desk.records).audiences())
    found = np.zeros(len(tokens), np.bool_)
    for audience in islice(audiences, _MOST_AUDIENCES):
        found |= TokenOpener(desk.keyring, audience).open_many(tokens).refusals == 0
    return int(found.sum())


def _keep(
    subjects: Blocks, sender: Sender, counts: Mapping[str, int], desk: DeliveryDesk, judge: _Judge
) -> None:
    """Note whose numbers are handed out, before they are."""
    if len(subjects):
        # not np.unique: at its first use it imports more than a whole call costs
        people = b"".join(sorted(set(subjects.view("V16").ravel().tolist())))
        document = {
            "sender": sender.name,
            "at": desk.clock(),
            "change": judge.change,
            "counts": dict(counts),
            "people": base64.b64encode(people).decode(),
        }
        desk.records.put(REDEMPTION, desk.new_id(), document, after=0)
