"""Finite languages over decimal digits as minimal deterministic automata, with an algebra.

A state is a small integer; 0 is the state from which nothing is accepted. Every state has one label
(0: not accepted here) and one successor a digit. States are hash-consed: two states with the same label
and the same successors are one state, so every automaton is minimal by construction (the acyclic case
of the Myhill-Nerode theorem; the method is that of multi-terminal decision diagrams).
"""

from __future__ import annotations

from collections.abc import Iterable

from contact_sanitizer.phone.pattern import Choice, Digit, Pattern, Repeat, Sequence

DEAD = 0
NO_LABEL = 0
ACCEPT = 1


class Automata:
    """A growing set of states; all methods return a state and never change an existing one."""

    def __init__(self) -> None:
        self._labels: list[int] = [NO_LABEL]
        self._successors: list[tuple[int, ...]] = [(DEAD,) * 10]
        self._known: dict[tuple[int, tuple[int, ...]], int] = {(NO_LABEL, (DEAD,) * 10): DEAD}
        self._choices: dict[tuple[int, int, int], int] = {}
        self._overlays: dict[tuple[int, int], int] = {}

    def label(self, state: int) -> int:
        """What a string that ends here is; 0: not accepted."""
        return self._labels[state]

    def successors(self, state: int) -> tuple[int, ...]:
        """The ten next states, by digit."""
        return self._successors[state]

    def state(self, label: int, successors: tuple[int, ...]) -> int:
        """The one state with this label and these successors."""
        if (
            self._is_sink(successors[0])
            and label == self._labels[successors[0]]
            and len(set(successors)) == 1
        ):
            return successors[0]
        key = (label, successors)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = len(self._labels)
            self._labels.append(label)
            self._successors.append(successors)
        return known

    def sink(self, label: int) -> int:
        """A new state that every digit leads back to: what it says stays said."""
        state = len(self._labels)
        self._labels.append(label)
        self._successors.append((state,) * 10)
        return state

    def _is_sink(self, state: int) -> bool:
        return self._successors[state][0] == state

    def language(self, pattern: Pattern) -> int:
        """The automaton of a pattern: label 1 for exactly its strings."""
        return self.followed(pattern, self.state(ACCEPT, (DEAD,) * 10))

    def followed(self, pattern: Pattern, tail: int) -> int:
        """The automaton of a pattern's strings, each followed by what `tail` accepts."""
        match pattern:
            case Digit(digits):
                return self.state(NO_LABEL, tuple(tail if digit in digits else DEAD for digit in range(10)))
            case Sequence(parts):
                for part in reversed(parts):
                    tail = self.followed(part, tail)
                return tail
            case Choice(options):
                return self.overlaid(self.followed(option, tail) for option in options)
            case Repeat(inner, least, most):
                reached = tail
                for _ in range(most - least):
                    reached = self.overlay(tail, self.followed(inner, reached))
                for _ in range(least):
                    reached = self.followed(inner, reached)
                return reached

    def anything(self, longest: int) -> int:
        """Accepts every string of up to `longest` digits."""
        state = DEAD
        for _ in range(longest + 1):
            state = self.state(ACCEPT, (state,) * 10)
        return state

    def overlaid(self, states: Iterable[int]) -> int:
        """The overlay of several automata; earlier ones win."""
        result = DEAD
        for state in states:
            result = self.overlay(result, state)
        return result

    def overlay(self, top: int, bottom: int) -> int:
        """The label of `top` where it accepts, else that of `bottom` (a union, for two languages)."""
        if bottom in {top, DEAD}:
            return top
        if top == DEAD:
            return bottom
        key = (top, bottom)
        known = self._overlays.get(key)
        if known is None:
            pairs = zip(self._successors[top], self._successors[bottom], strict=True)
            successors = tuple([self.overlay(above, below) for above, below in pairs])
            known = self.state(self._labels[top] or self._labels[bottom], successors)
            self._overlays[key] = known
        return known

    def choose(self, test: int, yes: int, no: int) -> int:
        """The label of `yes` for strings that `test` accepts, of `no` for all others."""
        if test == DEAD or yes == no:
            return no
        key = (test, yes, no)
        known = self._choices.get(key)
        if known is None:
            rows = zip(self._successors[test], self._successors[yes], self._successors[no], strict=True)
            label = self._labels[yes] if self._labels[test] else self._labels[no]
            known = self.state(label, tuple([self.choose(*row) for row in rows]))
            self._choices[key] = known
        return known

    def relabelled(self, state: int, label: int) -> int:
        """The same language with one label for all its strings."""
        return self._relabelled(state, label, {DEAD: DEAD})

    def _relabelled(self, state: int, label: int, known: dict[int, int]) -> int:
        if state not in known:
            successors = tuple([self._relabelled(after, label, known) for after in self._successors[state]])
            known[state] = self.state(label if self._labels[state] else NO_LABEL, successors)
        return known[state]

    def of_lengths(self, state: int, lengths: frozenset[int]) -> int:
        """Only the strings whose length is one of `lengths`."""
        if not lengths:
            return DEAD
        return self._of_lengths(state, 0, lengths, {})

    def _of_lengths(
        self, state: int, length: int, lengths: frozenset[int], known: dict[tuple[int, int], int]
    ) -> int:
        if state == DEAD or length > max(lengths):
            return DEAD
        key = (state, length)
        if key not in known:
            label = self._labels[state] if length in lengths else NO_LABEL
            after = tuple([self._of_lengths(s, length + 1, lengths, known) for s in self._successors[state]])
            known[key] = self.state(label, after)
        return known[key]
