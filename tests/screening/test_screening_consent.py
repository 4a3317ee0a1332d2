import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contact_sanitizer.errors import RegistryError
from contact_sanitizer.screening.consent import ConsentEvent, ConsentStatus, Standing, fold
from contact_sanitizer.screening.rule import DAY, FOREVER, Rule

SUBJECT = b"\x01" * 16
RULE = Rule("marketing", "sms", "brand-a")


def granted(
    at: int | None,
    *,
    sender: str = "brand-a",
    purpose: str = "marketing",
    channel: str = "sms",
    expires_at: int | None = None,
    recorded_at: int = 10,
) -> ConsentEvent:
    return ConsentEvent(
        SUBJECT,
        ConsentStatus.GRANTED,
        recorded_at,
        purpose,
        channel,
        sender,
        effective_at=at,
        expires_at=expires_at,
    )


def withdrawn(
    at: int | None, *, sender: str = "", purpose: str = "", channel: str = "", recorded_at: int = 10
) -> ConsentEvent:
    return ConsentEvent(
        SUBJECT, ConsentStatus.WITHDRAWN, recorded_at, purpose, channel, sender, effective_at=at
    )


def standing(*events: ConsentEvent, rule: Rule = RULE, now: int = 1000, as_of: int | None = None) -> Standing:
    return fold(events, rule, now, as_of).standing


def test_unknown_is_refused() -> None:
    assert standing() is Standing.MISSING


def test_a_grant_for_purpose_channel_and_sender_allows() -> None:
    assert standing(granted(100)) is Standing.GRANTED


@pytest.mark.parametrize(
    "event",
    [granted(100, purpose="billing"), granted(100, channel="voice"), granted(100, sender="brand-b")],
)
def test_a_grant_for_something_else_is_reported_as_such(event: ConsentEvent) -> None:
    assert standing(event) is Standing.OTHER


def test_a_grant_without_a_sender_covers_every_sender() -> None:
    assert standing(granted(100, sender="")) is Standing.GRANTED


def test_names_are_compared_without_case_and_width() -> None:
    event = granted(100, purpose=" Marketing", channel="ＳＭＳ", sender="Brand-A ")
    assert standing(event) is Standing.GRANTED


def test_the_latest_event_wins_whatever_arrived_last() -> None:
    late_refusal = withdrawn(200, recorded_at=900)
    assert standing(granted(300), late_refusal) is Standing.GRANTED
    assert standing(late_refusal, granted(100, recorded_at=950)) is Standing.WITHDRAWN


def test_at_a_tie_the_refusal_wins() -> None:
    assert standing(withdrawn(100), granted(100)) is Standing.WITHDRAWN
    assert standing(granted(100), withdrawn(100)) is Standing.WITHDRAWN


@pytest.mark.parametrize(
    "refusal",
    [
        withdrawn(200),
        withdrawn(200, purpose="marketing"),
        withdrawn(200, channel="sms"),
        withdrawn(200, sender="brand-a"),
        withdrawn(200, purpose="marketing", channel="sms", sender="brand-a"),
    ],
)
def test_what_a_withdrawal_leaves_out_it_means_for_all(refusal: ConsentEvent) -> None:
    assert standing(granted(100), refusal) is Standing.WITHDRAWN


@pytest.mark.parametrize(
    "refusal",
    [
        withdrawn(200, purpose="billing"),
        withdrawn(200, channel="voice"),
        withdrawn(200, sender="brand-b"),
    ],
)
def test_a_withdrawal_of_something_else_leaves_the_grant_alone(refusal: ConsentEvent) -> None:
    assert standing(granted(100), refusal) is Standing.GRANTED


def test_a_withdrawal_without_any_grant_is_a_withdrawal() -> None:
    assert standing(withdrawn(100)) is Standing.WITHDRAWN


def test_consent_ends_in_the_second_in_which_it_expires() -> None:
    event = granted(100, expires_at=500)
    assert standing(event, now=499) is Standing.GRANTED
    assert standing(event, now=500) is Standing.EXPIRED


def test_consent_ends_in_the_second_in_which_it_is_too_old() -> None:
    rule = Rule("marketing", "sms", "brand-a", max_age_days=2)
    assert standing(granted(100), rule=rule, now=100 + 2 * DAY - 1) is Standing.GRANTED
    assert standing(granted(100), rule=rule, now=100 + 2 * DAY) is Standing.EXPIRED


def test_an_expired_later_grant_does_not_revive_an_earlier_one() -> None:
    assert standing(granted(100), granted(200, expires_at=300)) is Standing.EXPIRED


def test_what_takes_effect_later_does_not_count_yet() -> None:
    assert standing(granted(2000)) is Standing.MISSING
    assert standing(granted(2000), now=2000) is Standing.GRANTED


def test_a_withdrawal_from_a_moment_to_come_counts_from_its_recording() -> None:
    refusal = withdrawn(2000, recorded_at=900)
    assert standing(granted(100), refusal) is Standing.WITHDRAWN
    assert standing(granted(900), refusal) is Standing.WITHDRAWN
    assert standing(granted(100), refusal, now=899, as_of=899) is Standing.GRANTED
    assert standing(granted(100), refusal, now=900, as_of=900) is Standing.WITHDRAWN


def test_a_grant_after_such_a_withdrawal_holds_until_the_moment_that_it_states() -> None:
    events = [withdrawn(2000, recorded_at=900), granted(950)]
    assert standing(*events) is Standing.GRANTED
    assert standing(*events, now=1999) is Standing.GRANTED
    assert standing(*events, now=2000) is Standing.WITHDRAWN


def test_an_undated_withdrawal_counts_also_where_its_clock_was_ahead() -> None:
    assert standing(granted(100), withdrawn(None, recorded_at=1030)) is Standing.WITHDRAWN


def test_as_of_asks_what_was_known_at_a_moment() -> None:
    events = [granted(100, recorded_at=100), withdrawn(150, recorded_at=700)]
    assert standing(*events, now=600, as_of=600) is Standing.GRANTED
    assert standing(*events, now=600) is Standing.WITHDRAWN


def test_any_withdrawal_beats_an_undated_grant() -> None:
    assert standing(granted(None, recorded_at=900), withdrawn(5)) is Standing.WITHDRAWN
    assert standing(granted(None, recorded_at=900), withdrawn(None, recorded_at=5)) is Standing.WITHDRAWN


def test_a_dated_grant_after_an_undated_withdrawal_counts() -> None:
    refusal = withdrawn(None, recorded_at=100)
    assert standing(refusal, granted(101)) is Standing.GRANTED
    assert standing(refusal, granted(100)) is Standing.WITHDRAWN


def test_uploading_an_undated_list_again_makes_consent_no_younger() -> None:
    rule = Rule("marketing", "sms", "brand-a", max_age_days=1)
    events = [granted(None, recorded_at=0), granted(None, recorded_at=DAY)]
    assert standing(*events, rule=rule, now=DAY - 1) is Standing.GRANTED
    assert standing(*events, rule=rule, now=DAY) is Standing.EXPIRED


def test_without_a_sender_in_the_rule_the_grant_of_any_sender_counts() -> None:
    rule = Rule("marketing", "sms")
    assert standing(granted(100, sender="brand-b"), rule=rule) is Standing.GRANTED
    refused_by_a = [granted(100), withdrawn(200, sender="brand-a"), granted(150, sender="brand-b")]
    assert standing(*refused_by_a, rule=rule) is Standing.GRANTED
    assert standing(*refused_by_a, withdrawn(160), rule=rule) is Standing.WITHDRAWN


def test_without_a_sender_in_the_rule_a_grant_to_all_falls_with_one_senders_withdrawal() -> None:
    events = [granted(100, sender=""), withdrawn(200, sender="brand-b")]
    assert standing(*events, rule=Rule("marketing", "sms")) is Standing.WITHDRAWN
    assert standing(*events, rule=RULE) is Standing.GRANTED


def test_the_state_names_its_event_and_its_end() -> None:
    event = granted(100, expires_at=500)
    state = fold([event, granted(50)], RULE, 200)
    assert state.because is event
    assert state.valid_until == 500
    assert fold([granted(100)], RULE, 200).valid_until == FOREVER


@pytest.mark.parametrize(("purpose", "channel"), [("", "sms"), ("marketing", ""), (" ", "sms")])
def test_a_grant_must_state_purpose_and_channel(purpose: str, channel: str) -> None:
    with pytest.raises(RegistryError) as caught:
        granted(1, purpose=purpose, channel=channel)
    assert caught.value.code == "event_refused"


@pytest.mark.parametrize("moment", [-1, 10**12])
def test_a_moment_out_of_range_is_refused(moment: int) -> None:
    with pytest.raises(RegistryError) as caught:
        granted(moment)
    assert caught.value.code == "event_refused"


def test_an_event_shows_neither_subject_nor_number() -> None:
    event = ConsentEvent(b"secret-subject-1", ConsentStatus.WITHDRAWN, 1, sealed=b"sealed-number")
    assert "secret" not in repr(event)
    assert "sealed" not in str(event)


MOMENTS = st.one_of(st.none(), st.integers(0, 6))
NAMES = st.sampled_from(["", "brand-a", "brand-b"])
EVENTS = st.one_of(
    st.builds(
        granted,
        MOMENTS,
        sender=NAMES,
        purpose=st.sampled_from(["marketing", "billing"]),
        expires_at=MOMENTS,
        recorded_at=st.integers(0, 6),
    ),
    st.builds(
        withdrawn,
        MOMENTS,
        sender=NAMES,
        purpose=st.sampled_from(["", "marketing", "billing"]),
        recorded_at=st.integers(0, 6),
    ),
)
RULES = st.builds(Rule, st.just("marketing"), st.just("sms"), st.sampled_from([None, "brand-a"]))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=6), st.randoms(use_true_random=False), RULES, st.integers(0, 8))
def test_the_state_does_not_depend_on_the_order_of_arrival(
    events: list[ConsentEvent], random: object, rule: Rule, now: int
) -> None:
    shuffled = sorted(events, key=lambda _: random.random())  # type: ignore[attr-defined] # a Random
    assert standing(*events, rule=rule, now=now) is standing(*shuffled, rule=rule, now=now)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=6), RULES, st.integers(0, 8))
def test_a_withdrawal_of_everything_now_always_refuses(
    events: list[ConsentEvent], rule: Rule, now: int
) -> None:
    assert standing(*events, withdrawn(now, recorded_at=now), rule=rule, now=now) is not Standing.GRANTED


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(EVENTS, max_size=5), EVENTS, RULES, st.integers(0, 8))
def test_a_withdrawal_never_helps(
    events: list[ConsentEvent], refusal: ConsentEvent, rule: Rule, now: int
) -> None:
    if (
        refusal.status is ConsentStatus.WITHDRAWN
        and standing(*events, rule=rule, now=now) is not Standing.GRANTED
    ):
        assert standing(*events, refusal, rule=rule, now=now) is not Standing.GRANTED
