"""The seal: puts waiting segments into one sequence and signs it.

A seal goes through these steps, each of them harmless to repeat:

1. the newest kept checkpoint is found and the tree's edge read; a tree that is not the signed one is refused
2. a plan says, once and for all, which segments follow at this size (`sealed/SIZE`, put if absent);
3. the tiles and bundles of the longer tree are put, if absent: the plan alone decides what they hold; where
   segments stay, so are the plan's entries as lines, by the day of the plan, for those who query them;
4. the checkpoint is signed and kept under its number, if absent: of two sealers one wins;
5. it becomes `checkpoint`;
6. in a folder that nobody serves, what is now superfluous goes: sealed segments and outgrown partial tiles.

So a crash at any step leaves a state from which the next seal goes on to the same bytes, and two sealers at
once, which should never be, cannot make two histories.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from contact_sanitizer.audit import segments
from contact_sanitizer.audit.checkpoint import Checkpoint, open_checkpoint
from contact_sanitizer.audit.lookback import Late
from contact_sanitizer.audit.merkle import EMPTY_ROOT
from contact_sanitizer.audit.notes import Signer, Verifier
from contact_sanitizer.audit.plans import (
    LARGEST_PLAN,
    PLANS,
    Plan,
    lines_of,
    parse_plan,
    parse_plan_key,
    plan_key,
)
from contact_sanitizer.audit.succession import is_signed_by
from contact_sanitizer.audit.tiles import (
    CHECKPOINT,
    WIDTH,
    Tile,
    edge,
    kept_checkpoint_key,
    parse_tile,
    width_of,
)
from contact_sanitizer.audit.tree import Tree
from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import ListId, moment_of

if TYPE_CHECKING:  # see audit.tree
    from contact_sanitizer.ports import Objects

FULL_PLAN: Final = LARGEST_PLAN - segments.LARGEST_SEGMENT
"""A plan of more entries may have left some segments to the next one."""


def begin_log(objects: Objects, signer: Signer, now: int) -> Checkpoint:
    """Sign the empty tree as checkpoint 0; where there is one already, it stays."""
    first = Checkpoint(signer.verifier.name, 0, EMPTY_ROOT, 0, now)
    objects.put(kept_checkpoint_key(0), first.signed(signer), absent=True)
    note = objects.get(kept_checkpoint_key(0)) or b""
    kept = open_checkpoint(note, [signer.verifier])
    objects.put(CHECKPOINT, note, absent=True)
    return kept


@dataclass
class Sealer:
    """Seals one log; run one at a time.

    `former`: verifiers of keys that signed before. `window`: how far back (milliseconds) late segments are
    looked for where segments are kept; None: sealed segments go, so whatever is there has to be sealed.
    `readers`: how many segments are read at once. `plans`: those that are known by their first entry; they
    never change, so a process may keep them.
    """

    objects: Objects
    signer: Signer
    former: tuple[Verifier, ...] = ()
    window: int | None = None
    readers: int = 1
    plans: dict[int, Plan] = field(default_factory=dict)
    _entries: dict[str, list[bytes]] = field(default_factory=dict)

    def seal(self, now: int, *, heartbeat: bool = False) -> Checkpoint:
        """Seal all that waits; with `heartbeat` sign also where nothing does. The newest checkpoint.

        `now`: milliseconds since 1970 UTC. `AuditError`: `audit_missing`, `audit_damaged` (nothing was
        signed), `audit_unwritable` (the next seal goes on).
        """
        newest, signed = self._newest(), False
        while True:
            tree = self._sound_tree(newest)
            back_to = self._back_to(newest, now)
            sealed = self._sealed_since(newest, back_to) if self.window is not None else self._sealed(newest)
            self._tidy(newest, sealed)
            names = [name for name in self._waiting(back_to) if name not in sealed]
            plan = self._plan(newest, now, names)
            if plan is None:
                break
            newest, signed = self._carry_out(plan, newest, tree), True
        if heartbeat and not signed:
            newest = self._sign(newest, newest.size, newest.root, now)
        return newest

    def _waiting(self, back_to: int) -> Iterator[str]:
        """Segments named from then on, and those that were put from then on under an older name."""
        found = dict.fromkeys(segments.waiting(self.objects, back_to))
        if self.window is not None:
            found |= dict.fromkeys(segments.noted_late(self.objects, back_to))
        return iter(found)

    def seal_late(self, now: int, late: Late) -> Checkpoint:
        """Seal segments that a look back has found, or a part of them. Raises as `seal`."""
        newest = self._newest()
        tree = self._sound_tree(newest)
        # Another sealer may have been here since.
        since: set[str] = set()
        for plan in self._plans_backwards(newest.size):
            if plan.first < late.scanned:
                break
            since |= plan.names
        names = [name for name in late.names if name not in since]
        decided = self._plan(newest, now, names, most=FULL_PLAN)
        return newest if decided is None else self._carry_out(decided, newest, tree)

    def _sound_tree(self, newest: Checkpoint) -> Tree:
        tree = Tree(self.objects, newest.size)
        if _root(tree) != newest.root:
            raise AuditError("audit_damaged", "the audit log is not what was signed")
        return tree

    def _back_to(self, newest: Checkpoint, now: int) -> int:
        """How far back segments are looked for: a window before the last seal, however long ago it was.

        Where the last plan was full, others waited behind its segments: after a long silence for long.
        """
        if self.window is None:
            return 0
        moments = [now, newest.time]
        last = next(self._plans_backwards(newest.size), None)
        if last and last.size > FULL_PLAN:
            moments.append(moment_of(ListId(max(last.names))))
        return max(0, min(moments) - self.window)

    def _newest(self) -> Checkpoint:
        """The newest kept checkpoint; a crash may have kept it before `checkpoint` told of it."""
        note = self.objects.get(CHECKPOINT)
        if note is None:
            raise AuditError("audit_missing", "there is no audit log where it should be")
        told = self._open(note)
        newest, number = told, told.number
        if self.objects.get(kept_checkpoint_key(number)) != note:
            raise AuditError("audit_damaged", "the newest checkpoint is not among those that were kept")
        while following := self.objects.get(kept_checkpoint_key(number + 1)):
            note, number = following, number + 1
            newest = self._following(note, newest)
        if not is_signed_by(note, self.signer.verifier) or newest.keys[0] == self.signer.verifier.encode():
            raise AuditError("key_retired", "the audit log is signed by another key by now")
        if newest is not told:
            self.objects.put(CHECKPOINT, note, absent=False)
        return newest

    def _open(self, note: bytes) -> Checkpoint:
        try:
            return open_checkpoint(note, [self.signer.verifier, *self.former])
        except AuditError:
            raise AuditError("audit_damaged", "a checkpoint is not what was signed") from None

    def _following(self, note: bytes, last: Checkpoint) -> Checkpoint:
        found = self._open(note)
        if found.number != last.number + 1 or found.size < last.size or found.time < last.time:
            raise AuditError("audit_damaged", "a kept checkpoint does not follow the one before")
        return found

    def _plan(self, newest: Checkpoint, now: int, names: list[str], most: int = LARGEST_PLAN) -> Plan | None:
        """What follows: the plan that was begun, or a new one for what waits; None where nothing does."""
        begun = self.objects.get(plan_key(newest.size))
        if begun is None:
            # As they happened; names begin with a time too, but an effect that is tried again keeps its name.
            pairs = tuple(sorted(self._pending(names, most), key=self._order))
            if not pairs:
                return None
            plan = Plan(newest.size, max(now, newest.time), self.window is not None, pairs)
            self.objects.put(plan_key(newest.size), plan.encode(), absent=True)
            begun = self.objects.get(plan_key(newest.size)) or b""
        plan = parse_plan(begun)
        if plan.first != newest.size:
            raise AuditError("audit_damaged", "a plan of the seal is not that of its place")
        self.plans[plan.first] = plan
        return plan

    def _pending(self, names: list[str], most: int) -> Iterator[tuple[str, int]]:
        """The first of these segments, as many as one plan takes, with their numbers of entries."""
        total = 0
        for start in range(0, len(names), WIDTH):
            batch = names[start : start + WIDTH]
            for name, entries in zip(batch, self._read(batch), strict=True):
                total += len(entries)
                if total > most:
                    return
                yield name, len(entries)

    def _order(self, pair: tuple[str, int]) -> tuple[int, str]:
        return segments.order(pair[0], self._entries[pair[0]])

    def _read(self, names: list[str]) -> list[list[bytes]]:
        """The entries of each segment; what a plan was made from is not fetched again to carry it out."""
        missing = [name for name in names if name not in self._entries]
        if self.readers > 1 and len(missing) > 1:
            with ThreadPoolExecutor(self.readers) as pool:
                self._entries.update(zip(missing, pool.map(self._segment, missing), strict=True))
        else:
            self._entries.update({name: self._segment(name) for name in missing})
        return [self._entries[name] for name in names]

    def _segment(self, name: str) -> list[bytes]:
        entries = segments.read(self.objects, name)
        if entries is None:
            raise AuditError("audit_damaged", "a segment is gone that was about to be sealed")
        return entries

    def _sealed_since(self, newest: Checkpoint, since: int) -> set[str]:
        """The names of segments that plans since then have sealed; always of the last plan."""
        sealed: set[str] = set()
        for plan in self._plans_backwards(newest.size):
            # A writer's clock may be ahead of ours: by less than a window.
            if sealed and plan.time < since - (self.window or 0):
                break
            sealed |= plan.names
        return sealed

    def _sealed(self, newest: Checkpoint) -> set[str]:
        """Where sealed segments go: the names of those that were sealed and are there still, or again."""
        oldest = next(segments.waiting(self.objects), None)
        if oldest is None:
            return set()
        last, before = next(self._plans_backwards(newest.size), None), newest
        while before.number and before.time >= moment_of(ListId(oldest)):
            before = self._open(self.objects.get(kept_checkpoint_key(before.number - 1)) or b"")
        later = Tree(self.objects, newest.size).entries_from(before.size)
        sealed = {segments.entry_id(entry) or "" for _, entry in later}
        return sealed | last.names if last else sealed

    def _plans_backwards(self, size: int) -> Iterator[Plan]:
        """The plans that were carried out, newest first."""
        end = size
        while end > 0:
            start = max(0, end - LARGEST_PLAN)
            keys = list(self.objects.keys(PLANS, plan_key(start - 1) if start else ""))
            firsts = [first for key in keys if (first := parse_plan_key(key)) is not None and first < end]
            yield from (self._plan_at(first) for first in reversed(firsts))
            end = start

    def _plan_at(self, first: int) -> Plan:
        if first not in self.plans:
            self.plans[first] = parse_plan(self.objects.get(plan_key(first)) or b"")
        return self.plans[first]

    def _carry_out(self, plan: Plan, newest: Checkpoint, tree: Tree) -> Checkpoint:
        read = self._read([name for name, _ in plan.segments])
        if [len(entries) for entries in read] != [count for _, count in plan.segments]:
            raise AuditError("audit_damaged", "a segment is not what the seal had planned")
        entries = [entry for entries in read for entry in entries]
        grown, files = tree.extended(entries)
        if plan.kept:
            files = {**files, plan.lines_key: lines_of(entries)}
        for key, data in files.items():
            if not self.objects.put(key, data, absent=True) and self.objects.get(key) != data:
                raise AuditError("audit_damaged", "a tile is there already and holds something else")
        self._entries.clear()
        return self._sign(newest, grown.size, grown.root(), plan.time)

    def _sign(self, newest: Checkpoint, size: int, root: bytes, time: int) -> Checkpoint:
        number, origin = newest.number + 1, self.signer.verifier.name
        checkpoint = Checkpoint(origin, size, root, number, max(time, newest.time))
        note = checkpoint.signed(self.signer)
        if not self.objects.put(kept_checkpoint_key(number), note, absent=True):
            note = self.objects.get(kept_checkpoint_key(number)) or b""
            checkpoint = self._following(note, newest)
        self.objects.put(CHECKPOINT, note, absent=False)
        return checkpoint

    def _tidy(self, newest: Checkpoint, sealed: set[str]) -> None:
        """Let go of what the last plan left over, where nobody needs it.

        Its segments go last: as long as one is there, the next seal comes by here again.
        """
        last = next(self._plans_backwards(newest.size), None)
        if self.window is not None or not sealed or last is None:
            return
        left = [name for name in segments.waiting(self.objects) if name in sealed]
        if not left:
            return
        for tile in edge(last.first):
            for level in {tile.level, None} if not tile.level else {tile.level}:
                self._drop_partials(Tile(level, tile.index), newest.size)
        for key in list(self.objects.keys(PLANS)):
            if key < plan_key(last.first):
                self.objects.delete(key)
        for name in left:
            self.objects.delete(segments.FOLDER + name)

    def _drop_partials(self, tile: Tile, size: int) -> None:
        width = width_of(tile.level or 0, tile.index, size)
        for key in list(self.objects.keys(f"{tile.key}.p/")):
            found = parse_tile(key)
            if found and found.width < width:
                self.objects.delete(key)


def _root(tree: Tree) -> bytes:
    try:
        return tree.root()
    except (IndexError, ValueError):
        raise AuditError("audit_damaged", "a tile of the audit log is damaged") from None
