from __future__ import annotations

import re
from itertools import product

import pytest

from contact_sanitizer.phone.automaton import ACCEPT, DEAD, NO_LABEL, Automata
from contact_sanitizer.phone.pattern import PatternError, literals, parse_pattern

PATTERNS = [
    "",
    "12",
    "[1-3]\\d?",
    "(?:1|2[0-4]|)3{2}",
    "1(?:0|1{0,2})[\\d]{1,2}",
    "(0|00)(?:1|2)?",
    "(?:[02]{2}|1){1,2}",
]
STRINGS = ["".join(digits) for length in range(6) for digits in product("01234", repeat=length)]


def accepts(automata: Automata, state: int, digits: str) -> bool:
    for digit in digits:
        state = automata.successors(state)[int(digit)]
    return automata.label(state) != NO_LABEL


@pytest.mark.parametrize("text", PATTERNS)
def test_an_automaton_accepts_what_the_regular_expression_matches_in_full(text: str) -> None:
    automata = Automata()
    state = automata.language(parse_pattern(text))
    for digits in STRINGS:
        assert accepts(automata, state, digits) == bool(re.fullmatch(text, digits))


def test_two_expressions_of_one_language_are_one_state() -> None:
    automata = Automata()
    assert automata.language(parse_pattern("1(?:2|3)4?")) == automata.language(parse_pattern("1[23]|1[23]4"))


def test_overlay_and_choice_combine_labels() -> None:
    automata = Automata()
    ones, twos = automata.language(parse_pattern("1\\d")), automata.language(parse_pattern("\\d2"))
    top, bottom = automata.relabelled(ones, 7), automata.relabelled(twos, 8)
    both = automata.overlay(top, bottom)
    chosen = automata.choose(ones, bottom, top)
    assert [label_after(automata, both, digits) for digits in ("12", "13", "32", "33")] == [7, 7, 8, 0]
    assert [label_after(automata, chosen, digits) for digits in ("12", "13", "32")] == [8, 0, 0]


def label_after(automata: Automata, state: int, digits: str) -> int:
    for digit in digits:
        state = automata.successors(state)[int(digit)]
    return automata.label(state)


def test_lengths_cut_a_language() -> None:
    automata = Automata()
    cut = automata.of_lengths(automata.language(parse_pattern("\\d{1,5}")), frozenset({2, 4}))
    assert [accepts(automata, cut, "1" * length) for length in range(6)] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]
    assert automata.of_lengths(cut, frozenset({3})) == DEAD


def test_a_sink_stays_what_it_is() -> None:
    automata = Automata()
    sink = automata.sink(ACCEPT)
    assert automata.successors(sink) == (sink,) * 10
    assert automata.state(ACCEPT, (sink,) * 10) == sink


@pytest.mark.parametrize(
    "text", ["1*", "1+", "a", "(1", "1)", "[1", "1{2", "1{,2}", "^1", "1$", "(?=1)", "\\s"]
)
def test_a_construct_that_the_metadata_never_used_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        parse_pattern(text)


def test_literals_are_listed_in_order_or_not_at_all() -> None:
    assert literals(parse_pattern("00|1[12]0?"), 10) == ["00", "11", "110", "12", "120"]
    assert literals(parse_pattern("1\\d\\d"), 99) is None
