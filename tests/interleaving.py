"""Workers at once, of whom one goes on at a time: at each of its calls of AWS somebody gets the turn."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from threading import Condition, Thread, get_ident


class Interleaving:
    """An order of turns that follows from a seed.

    Half of the seeds draw who goes on at each call; a worker that stands still while another does much is
    what lets them get into each other's way, so the present one is often kept. The other half gives each
    worker a rank and lets the highest go on, until at a few drawn calls it becomes the lowest (probabilistic
    concurrency testing: Burckhardt and others, ASPLOS 2010): a fault that takes a few well-placed turns
    is met with a known chance, however long the work is.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - an order, no secret
        self._condition = Condition()
        self._working: list[int] = []
        self._numbers: dict[int, int] = {}
        self._keep = self._chance.choice((0.0, 0.5, 0.9, 0.97))
        self._ranked = bool(seed % 2)
        self._ranks: list[float] = []
        self._calls = 0
        self._falls = {self._chance.randrange(500) for _ in range(self._chance.randint(1, 6))}
        self.turn = -1

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Do the works at once; raises what the first of them raised."""
        raised: list[BaseException] = []
        self._working = list(range(len(works)))
        self._ranks = [self._chance.random() for _ in works]

        def work(number: int) -> None:
            self._numbers[get_ident()] = number
            try:
                self._wait(number)
                works[number]()
            except BaseException as error:  # noqa: BLE001 - told to the test
                raised.append(error)
            finally:
                del self._numbers[get_ident()]
                self._working.remove(number)
                self._choose()

        threads = [Thread(target=work, args=(number,)) for number in self._working]
        for thread in threads:
            thread.start()
        self._choose()
        for thread in threads:
            thread.join()
        if raised:
            raise raised[0]

    def yield_turn(self) -> None:
        """Let another worker go on; a worker's helping threads go on with it."""
        number = self._numbers.get(get_ident())
        if number is not None:
            self._choose()
            self._wait(number)

    def _choose(self) -> None:
        with self._condition:
            before, self.turn = self.turn, self._next()
            if self.turn != before:
                self._condition.notify_all()

    def _next(self) -> int:
        if not self._working:
            return -1
        self._calls += 1
        if self._ranked:
            if self._calls in self._falls and self.turn >= 0:
                self._ranks[self.turn] = -self._calls
            return max(self._working, key=self._ranks.__getitem__)
        if self.turn in self._working and self._chance.random() < self._keep:
            return self.turn
        return self._chance.choice(self._working)

    def _wait(self, number: int) -> None:
        with self._condition:
            # Python 3.11 locks a property while it is computed: who has the turn may wait for who has not.
            self._condition.wait_for(lambda: self.turn == number, timeout=5)
