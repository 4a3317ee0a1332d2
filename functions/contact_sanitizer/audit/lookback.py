"""Looking back: segments that no seal has noticed, looked for bit by bit in all that is kept.

A seal looks for late segments some hours back. A writer that was slower than anybody expected is found here:
each step goes through a thousand segments, in their order, and through the plans of their time. What no
plan names is a suspect; suspects are looked for in every plan there is, step by step, before they are sealed.

The state of it is one object. Where it is lost or damaged the look begins anew: nothing is sealed but what
was missing from all plans up to the newest one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.plans import PLANS, Plan, parse_plan, parse_plan_key, plan_key
from contact_sanitizer.listid import ListId, moment_of, parse_list_id

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

STATE: Final = "looked-back"
SEGMENTS_A_STEP: Final = 1_000
PLANS_A_STEP: Final = 2_000
_FORMAT: Final = "contact-sanitizer/looked-back/v1"


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a look has come; `begun`: when, in milliseconds since 1970 UTC.

    `after`: the last segment that was gone through. `plan`: the entry from which plans may name the next
    ones. `suspects`: segments that no plan of their time names. `scanned`: plans that begin before this entry
    name none of them. `done`: whether all was gone through.
    """

    begun: int
    after: str = ""
    plan: int = 0
    suspects: tuple[str, ...] = ()
    scanned: int = 0
    done: bool = False

    def encode(self) -> bytes:
        """The state's bytes."""
        return json.dumps({**asdict(self), "format": _FORMAT}, sort_keys=True).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Late:
    """Segments that no plan before the entry `scanned` has sealed."""

    names: tuple[str, ...]
    scanned: int


@dataclass(frozen=True, slots=True)
class LookBack:
    """Goes through one log. `window`: how far back a seal looks by itself (milliseconds).

    `pause`: how long after a look was begun the next one is. `readers`: how many plans are read at once.
    """

    objects: Objects
    window: int
    pause: int
    readers: int = 1
    most: int = SEGMENTS_A_STEP
    most_plans: int = PLANS_A_STEP

    def step(self, now: int, size: int) -> Late | None:
        """Go one step further in a log of this size; what is to be sealed now, if anything.

        What is to be sealed stays a suspect until a plan names it: a seal that does not take place is asked
        for again. Raises `AuditError`.
        """
        looked = parse_state(self.objects.get(STATE) or b"", now)
        if looked.done and now - looked.begun < self.pause:
            return None
        if looked.done:
            looked = Looked(now)
        further = self._scan(looked) if looked.suspects else self._go(looked, now)
        if further != looked:
            self.objects.put(STATE, further.encode(), absent=False)
        if further.suspects and further.scanned >= size:
            return Late(further.suspects, further.scanned)
        return None

    def _go(self, looked: Looked, now: int) -> Looked:
        """Through the next segments; those of the last hours are the seal's own."""
        names = list(islice(self._segments(looked.after, now - self.window), self.most))
        if not names:
            return replace(looked, done=True)
        first, last = moment_of(ListId(names[0])), moment_of(ListId(names[-1]))
        unseen, plan = dict.fromkeys(names), looked.plan
        for each in self._plans(looked.plan):
            if each.time < first - self.window:
                plan = each.first
            for name in each.names:
                unseen.pop(name, None)
            if each.time > last + self.window:
                break
        return replace(looked, after=names[-1], plan=plan, suspects=tuple(unseen), scanned=0)

    def _scan(self, looked: Looked) -> Looked:
        """Through the next plans, for the suspects."""
        suspects, scanned = dict.fromkeys(looked.suspects), looked.scanned
        for plan in self._plans(looked.scanned):
            scanned = plan.first + plan.size
            for name in plan.names:
                suspects.pop(name, None)
        return replace(looked, suspects=tuple(suspects), scanned=scanned)

    def _segments(self, after: str, until: int) -> Iterator[str]:
        start = segments.FOLDER + after if after else ""
        for key in self.objects.keys(segments.FOLDER, start):
            name = parse_list_id(key.removeprefix(segments.FOLDER))
            if name is None:
                continue
            if moment_of(name) >= until:
                return
            yield name

    def _plans(self, start: int) -> Iterator[Plan]:
        """The plans from an entry on, in their order, as many as a step reads."""
        keys = self.objects.keys(PLANS, plan_key(start - 1) if start else "")
        known = islice((key for key in keys if parse_plan_key(key) is not None), self.most_plans)
        with ThreadPoolExecutor(self.readers) as pool:
            while batch := list(islice(known, 8 * self.readers)):
                yield from pool.map(self._plan_at, batch)

    def _plan_at(self, key: str) -> Plan:
        return parse_plan(self.objects.get(key) or b"")


def parse_state(data: bytes, now: int) -> Looked:
    """The state from its bytes; that of a look which begins now where they are none."""
    try:
        stated: dict[str, Any] = json.loads(data)
        if stated.pop("format") != _FORMAT:
            return Looked(now)
        looked = Looked(**{**stated, "suspects": tuple(stated["suspects"])})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Looked(now)
    return looked if _is_sound(looked) else Looked(now)


def _is_sound(looked: Looked) -> bool:
    numbers: Sequence[object] = (looked.begun, looked.plan, looked.scanned)
    names = (*looked.suspects, *([looked.after] if looked.after else []))
    return (
        all(type(number) is int and number >= 0 for number in numbers)
        and all(isinstance(name, str) and parse_list_id(name) for name in names)
        and type(looked.done) is bool
    )
