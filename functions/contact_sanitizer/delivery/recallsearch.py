"""Who of a delivery is to be recalled now: the registry is asked about all of its people, or about some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from contact_sanitizer.delivery.deliveries import Delivery
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.people import PeopleRun, read_people
from contact_sanitizer.protection.keyring import SubKey
from contact_sanitizer.protection.tokens import token_associated_data
from contact_sanitizer.protection.wire import BlockOpener
from contact_sanitizer.screening.consent import ConsentStatus
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.screening.suppression import SuppressionAct

MOST_LOOKED_UP: Final = 1000
"""Of so many newly recalled people it is looked up when they refused."""

Rows = NDArray[np.int64]


class Among(Protocol):
    """Says whom to look at."""

    def rows(self, subjects: NDArray[np.uint8], open_blocks: Callable[[], NDArray[np.uint8]]) -> Rows:
        """Which of these people (16 bytes each), ascending; their blocks are opened where they are needed."""
        ...


class Search:
    """Goes through a delivery's people once: who is to be recalled now, and is not yet.

    `known`: places of those in the feed, `shown`: of those whose wires are wanted. Afterwards `wires` has
    these by place, and `since` when the earliest newly recalled person had refused (milliseconds).
    """

    def __init__(
        self, delivery: Delivery, desk: DeliveryDesk, known: Rows, shown: Rows, among: Among | None
    ) -> None:
        self._among = among
        self.wires: dict[int, bytes] = {}
        self.since = desk.clock()
        self._delivery = delivery
        self._desk = desk
        self._known = np.sort(known)
        self._shown = np.sort(shown)
        self._looked_up = 0
        data = token_associated_data(desk.keyring.tenant, delivery.audience)
        self._opener = BlockOpener(desk.keyring, SubKey.TOKEN, data)

    def run(self) -> NDArray[np.int64]:
        """The places of people who are to be recalled and are not in the feed yet."""
        delivery, now = self._delivery, self._desk.clock() // 1000
        # That a register is old must not keep a sender from being told who has refused.
        rule = replace(delivery.use.rule, register_max_age_days={})
        news = [np.empty(0, np.int64)]
        with self._desk.registry.screening(rule, now) as screening:
            for run in read_people(self._desk.shelf.people(delivery.delivery_id), delivery.people):
                self._keep_wires(run)
                rows = self._wanted(run)
                if not len(rows):
                    continue
                # A person whose key was destroyed is still found, though not on lists of foreign hashes.
                subjects, blocks = run.subjects[rows], self._opener.open(run.wires[rows])[0]
                bits = delivery.use.weigh(screening.screen(Candidates.of(subjects, blocks)), now)
                fresh = np.flatnonzero((bits != 0) & ~np.isin(run.first + rows, self._known))
                self._note(subjects[fresh], blocks[fresh])
                news.append(run.first + rows[fresh])
        return np.concatenate(news)

    def _wanted(self, run: PeopleRun) -> Rows:
        """Who is asked for; those who were erased can be named to nobody any more."""
        rows = np.arange(len(run))
        if self._among is not None:
            rows = self._among.rows(run.subjects, lambda: self._opener.open(run.wires)[0])
        return rows[~run.erased[rows]]

    def _keep_wires(self, run: PeopleRun) -> None:
        start, stop = np.searchsorted(self._shown, (run.first, run.first + len(run)))
        for place in self._shown[start:stop].tolist():
            self.wires[place] = run.wires[place - run.first].tobytes()

    def _note(self, subjects: NDArray[np.uint8], blocks: NDArray[np.uint8]) -> None:
        """When the earliest of some newly recalled people had refused."""
        room = max(MOST_LOOKED_UP - self._looked_up, 0)
        self._looked_up += min(len(subjects), room)
        for subject, block in zip(subjects[:room], blocks[:room], strict=True):
            history = self._desk.registry.history(subject.tobytes(), block.tobytes())
            refusals = [e.recorded_at for e in history.consents if e.status is ConsentStatus.WITHDRAWN]
            refusals += [e.recorded_at for e in history.suppressions if e.act is SuppressionAct.ADDED]
            later = [at * 1000 for at in refusals if at >= self._delivery.as_of // 1000]
            self.since = min(self.since, *later) if later else self.since
