from dataclasses import replace

import numpy as np
import pytest

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.consent import Standing
from contact_sanitizer.screening.rule import DAY, Rule
from contact_sanitizer.screening.verdict import (
    CONSENT_BITS,
    STANDING_BITS,
    Drop,
    primary_reasons,
    reasons_of,
    standing_bits,
)


def test_the_reported_reason_is_the_first_in_precedence() -> None:
    every = np.arange(64, dtype=np.uint8)
    primary = primary_reasons(every).tolist()
    assert primary[0] == Reason.NONE
    for bits in range(1, 64):
        assert primary[bits] == min(reasons_of(bits)) == reasons_of(bits)[0]
    assert reasons_of(Drop.DUPLICATE | Drop.SUPPRESSED | Drop.CONSENT_OTHER) == [
        Reason.SUPPRESSED,
        Reason.CONSENT_OTHER,
        Reason.DUPLICATE,
    ]


def test_bits_stay_what_they_are() -> None:
    assert {bit.name: bit.value for bit in Drop} == {
        "SUPPRESSED": 1,
        "CONSENT_MISSING": 2,
        "CONSENT_WITHDRAWN": 4,
        "CONSENT_EXPIRED": 8,
        "CONSENT_OTHER": 16,
        "DUPLICATE": 32,
    }
    assert STANDING_BITS[Standing.GRANTED] == 0
    assert standing_bits(np.array(list(Standing), np.uint8)).tolist() == STANDING_BITS.tolist()
    assert sum(STANDING_BITS.tolist()) == CONSENT_BITS


def test_a_rule_compares_names_as_events_do() -> None:
    assert Rule(" Marketing", "SMS", "Brand-A") == Rule("marketing", "sms", "brand-a")
    assert Rule("marketing", "sms", "") == Rule("marketing", "sms")


@pytest.mark.parametrize("purpose", ["", " "])
def test_a_rule_names_a_purpose(purpose: str) -> None:
    with pytest.raises(RegistryError) as caught:
        Rule(purpose, "sms")
    assert caught.value.code == "rule_refused"


def test_a_rule_knows_three_scopes() -> None:
    with pytest.raises(RegistryError):
        Rule("marketing", "sms", scopes=frozenset({"world"}))


def test_rules_that_answer_differently_have_different_digests() -> None:
    rule = Rule("marketing", "sms", "a", 7)
    others = [
        replace(rule, purpose="x"),
        replace(rule, channel="x"),
        replace(rule, sender=None),
        replace(rule, max_age_days=None),
        replace(rule, scopes=frozenset({"global"})),
    ]
    assert len({r.digest for r in [rule, *others]}) == 6
    assert replace(rule, register_max_age_days={"global": 3}).digest == rule.digest


def test_the_oldest_of_several_senders_registers_decides_without_a_sender() -> None:
    rule = Rule("marketing", "sms", register_max_age_days={"sender": 2})
    loaded = {"sender:a": 10 * DAY, "sender:b": 5 * DAY}
    rule.require_fresh(loaded, 7 * DAY)
    with pytest.raises(RegistryError) as caught:
        rule.require_fresh(loaded, 7 * DAY + 1)
    assert caught.value.code == "register_stale"
    replace(rule, sender="a").require_fresh(loaded, 12 * DAY)
