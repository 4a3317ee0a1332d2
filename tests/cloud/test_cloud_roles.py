"""What each function's role and each person may do on the deployed application, tried call by call."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cloudattempts import Attempt, attempts, is_denied, is_granted
from cloudcast import TRIAL, Cast
from rehearsal import OWNER, Person
from rolematrix import MATRIX, PEOPLE


@pytest.fixture(scope="module")
def everything(cast: Cast) -> list[Attempt]:
    return attempts(cast.stack)


def strayed(cast: Cast, everything: list[Attempt], person: Person, name: str) -> list[str]:
    """Where the stack does otherwise than the table says."""
    clients: dict[str, Any] = {}
    wrong, tried = [], Counter[str]()
    for attempt in everything:
        granted = is_granted(attempt, name)
        if granted and not attempt.only_looks:
            continue
        denied = is_denied(attempt, cast.stack, person, clients)
        tried["denied" if denied else "allowed"] += 1
        if denied == granted:
            wrong.append(f"{'denied' if denied else 'allowed'}: {attempt.right}")
    assert tried["denied"] > 60
    return wrong


@pytest.mark.parametrize("function", sorted(MATRIX))
def test_a_function_does_what_its_role_is_for_and_is_denied_the_rest(
    cast: Cast, everything: list[Attempt], function: str
) -> None:
    person = cast.stack.in_the_role_of(function, TRIAL)
    assert strayed(cast, everything, person, function) == []


@pytest.mark.parametrize("policy", sorted(PEOPLE))
def test_a_person_is_denied_what_the_policy_does_not_hand_out(
    cast: Cast, everything: list[Attempt], policy: str
) -> None:
    people = {
        "Operator": cast.operator,
        "Security": cast.security,
        "Sender": cast.sender,
        "Uploader": cast.uploader,
    }
    tag = {"contact-sanitizer": "operator"}
    person = people.get(policy) or cast.stack.person(policy, [policy], tag)
    assert strayed(cast, everything, person, policy) == []


def test_who_was_handed_nothing_is_denied_everything(cast: Cast, everything: list[Attempt]) -> None:
    assert strayed(cast, everything, cast.stranger, "nobody") == []


def test_the_owner_is_denied_none_of_it_so_that_a_denial_says_something(
    cast: Cast, everything: list[Attempt]
) -> None:
    """Of the looks: what else is tried would do harm if it were done."""
    looks = [attempt for attempt in everything if attempt.only_looks and attempt.service != "execute-api"]
    clients: dict[str, Any] = {}
    denied = [attempt.right for attempt in looks if is_denied(attempt, cast.stack, OWNER, clients)]
    assert denied == []
