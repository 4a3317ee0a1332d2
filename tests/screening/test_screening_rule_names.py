"""Names are compared in one form, which stays as it is however often it is made."""

from __future__ import annotations

import unicodedata

from contact_sanitizer.screening.rule import Rule, name_of

MARKS = [chr(code) for code in range(0x300, 0x370)]


def test_a_name_that_was_made_stays_as_it_is() -> None:
    for code in range(0x30000):
        letter = chr(code)
        if unicodedata.category(letter) in {"Cs", "Cn"}:
            continue
        for name in (letter, f" {letter}", letter + "\u0301", letter + "\u0345\u0301"):
            assert name_of(name_of(name)) == name_of(name), f"{code:x}"
    for mark in MARKS:
        for letter in "\u03aa\u1e9e\u0130\u1fb7\uff21":
            assert name_of(name_of(letter + mark)) == name_of(letter + mark)


def test_a_refusal_to_a_sender_counts_whoever_else_the_people_are_handed_to() -> None:
    sender = "\u03aa\u0301"
    rule = Rule("marketing", "sms", sender, recipient="other")
    again = Rule.of(rule.document())
    for each in (rule, again):
        assert each.sender is not None
        assert each.counts_scope(f"sender:{name_of(sender)}")
        assert each.digest == rule.digest
