"""Verification of a whole log, offline, from its objects and a public key.

Promises: whatever was altered, removed, reordered or invented below the newest checkpoint, in the kept
checkpoints, or in any file that the log is made of is found, and the first such thing is named.
Does not promise: that nothing was there after the newest checkpoint, nor that a log which was put back as a
whole to how it once was is known for it. For the first there is the heartbeat, for the second a checkpoint
that the verifier kept from another time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.accounts import Published
from contact_sanitizer.audit.actions import Action
from contact_sanitizer.audit.chain import Chain, opened, read_chain
from contact_sanitizer.audit.checkpoint import Checkpoint
from contact_sanitizer.audit.lines import LineReader, Lines
from contact_sanitizer.audit.notes import Verifier
from contact_sanitizer.audit.places import Places
from contact_sanitizer.audit.plans import (
    LINES,
    Plan,
    lines_of,
    parse_lines_key,
    parse_plan,
    parse_plan_key,
    plan_key,
)
from contact_sanitizer.audit.recompute import Recomputation
from contact_sanitizer.audit.succession import announced_keys, announces
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import ListId, moment_of

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

_NOTED: Final = frozenset(
    {Action.LIST_PUBLISHED, Action.DELIVERY_PUBLISHED, Action.PERSON_ERASED, Action.AUDIT_REKEYED}
)
"""Actions of events that say what may lie beside the log, or which key signs it next."""

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""

Watch = Callable[[Lines], None]
"""Told the sealed events in order, many at a time, before all is verified: to be relied on only after."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the verifier knows or wants beyond the log itself.

    `heartbeat`: seals follow each other within this many milliseconds, with as much again as leeway. `now`:
    the verifier's time, by which the newest seal is late. `known`: a checkpoint kept from another time.
    """

    heartbeat: int | None = None
    now: int | None = None
    known: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Two moments (milliseconds since 1970 UTC) between which a heartbeat was missed."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of a log in which everything fits. `keys`: those that signed it, in their order."""

    newest: Checkpoint
    since: int
    checkpoints: int
    waiting: int
    gaps: tuple[Gap, ...]
    published: Published
    keys: tuple[Verifier, ...] = ()


def no_progress(_done: int, _of: int) -> None:
    """Nobody watches."""


def _unwatched(_lines: Lines) -> None:
    """Nobody wants the events."""


def verify_log(
    objects: Objects,
    verifiers: Sequence[Verifier],
    expected: Expectations = Expectations(),
    progress: Progress = no_progress,
    watch: Watch = _unwatched,
) -> Verified:
    """Recompute everything. `AuditError` names the first thing that does not fit, with a code for its kind.

    Missed heartbeats are no error here: they are told as gaps.
    """
    return _Verification(objects, verifiers, expected, progress, watch).run()


@dataclass
class _Verification:
    objects: Objects
    verifiers: Sequence[Verifier]
    expected: Expectations
    progress: Progress
    watch: Watch
    _seen: set[bytes] = field(default_factory=set)
    _published: Published = field(default_factory=Published)
    _rekeyed: list[tuple[int, Mapping[str, str]]] = field(default_factory=list)
    _done: int = 0
    _all: int = 0

    def run(self) -> Verified:
        keys = list(self.objects.keys())
        self._all = sum(key.startswith("checkpoints/") for key in keys)
        read = read_chain(self.objects, keys, self.verifiers, self._advance)
        chain = read.checkpoints
        self._all += chain[-1].size
        plans = self._plans(keys)
        walk = Recomputation(self.objects, self._with_known(read), keys)
        reader, events = LineReader(), Places(plans, chain)
        for first, entries, hashes in walk.walk(self._advance):
            self._require_new(first, hashes)
            lines = reader.read(first, entries)
            good, fault = events.first_fault(lines, len(entries))
            self._take(lines.upto(good))
            if fault:
                raise fault
        self._require_announced(read.handovers)
        waiting = self._segments(keys, plans, chain[-1])
        self._compare_lines(keys, plans, chain[-1])
        self._require_nothing_beyond(walk.beyond(), plans, chain[-1])
        gaps = self._gaps(chain, waiting)
        numbers = chain[-1], chain[0].time, len(chain), len(waiting)
        return Verified(*numbers, gaps, self._published, read.keys)

    def _advance(self, done: int) -> None:
        self._done += done
        self.progress(self._done, self._all)

    def _plans(self, keys: Sequence[str]) -> list[Plan]:
        """The plans that are there, in their order."""
        plans: list[Plan] = []
        for first in sorted(at for key in keys if (at := parse_plan_key(key)) is not None):
            plan = parse_plan(self.objects.get(plan_key(first)) or b"")
            if plan.first != first or (plans and plans[-1].first + plans[-1].size > first):
                raise AuditError("seal_altered", f"the plan of what follows at event {first} does not fit")
            plans.append(plan)
        return plans

    def _with_known(self, read: Chain) -> list[Checkpoint]:
        """The chain, and in it the checkpoint that the verifier brought."""
        chain = read.checkpoints
        if self.expected.known is None:
            return chain
        known = opened(self.expected.known, read.keys, "the checkpoint that you kept")
        if known.size > chain[-1].size or known.number > chain[-1].number:
            raise AuditError("checkpoint_behind", "the log is older than the checkpoint that you kept")
        if chain[known.number] != known:
            raise AuditError(
                "checkpoint_inconsistent", f"checkpoint {known.number} is not the one that you kept"
            )
        return chain

    def _require_new(self, first: int, hashes: list[bytes]) -> None:
        """Refuse an entry that was there before: a segment that was sealed twice."""
        heads = [value[:10] for value in hashes]
        if len(set(heads)) == len(heads) and self._seen.isdisjoint(heads):
            self._seen.update(heads)
            return
        for offset, head in enumerate(heads):
            if head in self._seen:
                raise AuditError("event_repeated", f"event {first + offset} was sealed before")
            self._seen.add(head)

    def _take(self, lines: Lines) -> None:
        """Take note of events that are as they should be."""
        for offset, kind in enumerate(lines.kinds):
            if kind is None or kind.action in _NOTED:
                entry = lines.entries[offset]
                self._published.take(entry)
                if digests := announced_keys(entry):
                    self._rekeyed.append((lines.first + offset, digests))
        self.watch(lines)

    def _require_announced(self, handovers: Sequence[Checkpoint]) -> None:
        """Refuse a new key of which no event tells that was sealed before it."""
        for checkpoint in handovers:
            told = [digests for index, digests in self._rekeyed if index < checkpoint.size]
            if not any(announces(digests, checkpoint) for digests in told):
                raise AuditError(
                    "key_unannounced",
                    f"checkpoint {checkpoint.number} hands the log over to a key that no event announces",
                )

    def _segments(self, keys: Sequence[str], plans: list[Plan], newest: Checkpoint) -> list[str]:
        """The names of the segments that wait for the seal, after those that were kept were compared."""
        there = {key.removeprefix(segments.FOLDER) for key in keys if key.startswith(segments.FOLDER)}
        tree = Tree(self.objects, newest.size)
        for plan in plans:
            if plan.kept or plan.first >= newest.size:
                missing = next((name for name, _ in plan.segments if name not in there), None)
                if missing:
                    raise AuditError("segment_missing", f"segment {missing} is gone")
            if plan.first < newest.size:
                self._compare_segments(plan, there, tree)
        sealed = set().union(*(plan.names for plan in plans if plan.first < newest.size))
        waiting = sorted(there - sealed)
        for name in waiting:
            for entry in self._read(name):
                self._published.take(entry)
        return waiting

    def _compare_segments(self, plan: Plan, there: set[str], tree: Tree) -> None:
        if there.isdisjoint(name for name, _ in plan.segments):
            return
        entries = (entry for _, entry in tree.entries_from(plan.first))
        for name, count in plan.segments:
            sealed = [next(entries) for _ in range(count)]
            if name in there and self._read(name) != sealed:
                raise AuditError("segment_altered", f"segment {name} is not the one that was sealed")

    def _compare_lines(self, keys: Sequence[str], plans: list[Plan], newest: Checkpoint) -> None:
        """Compare the lines that queries read; from the first that there are on, all have to be there."""
        there = {key for key in keys if key.startswith(LINES)}
        begins = min((first for key in there if (first := parse_lines_key(key)) is not None), default=None)
        if begins is None:
            due: list[Plan] = []
        else:
            due = [plan for plan in plans if plan.kept and (plan.first >= begins or plan.lines_key in there)]
        entries = Tree(self.objects, newest.size).entries_from(begins or 0)
        for plan in due:
            if plan.first < newest.size:
                lines = lines_of(list(islice(_from(plan.first, entries), plan.size)))
            elif plan.lines_key in there:
                lines = lines_of([entry for name, _ in plan.segments for entry in self._read(name)])
            else:
                continue
            if plan.lines_key not in there or self.objects.get(plan.lines_key) != lines:
                raise AuditError("lines_altered", f"the lines of event {plan.first} on were changed")
            there.discard(plan.lines_key)
        if there:
            raise AuditError("lines_altered", "there are lines of events that no seal has put there")

    def _read(self, name: str) -> list[bytes]:
        try:
            return segments.read(self.objects, name) or []
        except AuditError:
            raise AuditError("segment_altered", f"segment {name} is damaged") from None

    def _require_nothing_beyond(self, beyond: list[str], plans: list[Plan], newest: Checkpoint) -> None:
        """What reaches beyond the newest checkpoint has to be what an unfinished seal is about to sign."""
        if not beyond:
            return
        begun = next((plan for plan in plans if plan.first == newest.size), None)
        entries = [entry for name, _ in begun.segments for entry in self._read(name)] if begun else []
        _, files = Tree(self.objects, newest.size).extended(entries)
        for key in beyond:
            if self.objects.get(key) != files.get(key):
                raise AuditError(
                    "seal_undone", f"{key} reaches beyond the newest checkpoint: one was removed"
                )

    def _gaps(self, chain: list[Checkpoint], waiting: list[str]) -> tuple[Gap, ...]:
        """Where no seal came for two intervals: between seals, since the newest one, or for what waits."""
        every = self.expected.heartbeat
        if every is None:
            return ()
        moments = [checkpoint.time for checkpoint in chain]
        moments += [self.expected.now] if self.expected.now is not None else []
        spans = [*pairwise(moments), *((moment_of(ListId(name)), moments[-1]) for name in waiting[:1])]
        return tuple(Gap(start, end) for start, end in spans if end - start > 2 * every)


def _from(first: int, entries: Iterator[tuple[int, bytes]]) -> Iterator[bytes]:
    """The entries from that number on, of those that are left."""
    return (entry for index, entry in entries if index >= first)
