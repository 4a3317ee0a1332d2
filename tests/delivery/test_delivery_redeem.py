from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from contact_sanitizer.delivery.redeem import REDEMPTION, Redeemed
from contact_sanitizer.delivery.senders import Quotas
from contact_sanitizer.embedded.deliveryfolder import DeliveryFolder
from contact_sanitizer.erasing.erase import erase
from contact_sanitizer.errors import ContactSanitizerError, DeliveryError, RegistryError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.listid import ListId
from contact_sanitizer.protection.blocks import blocks_of
from contact_sanitizer.protection.tokens import TokenMaker
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.workspace import Workspace
from counter import PHONES, YEAR, Counter, column, counter_at
from desk import NOW, home_of, policy

NUMBERS = [f"+86{phone}" for phone in PHONES]
SEEDS = int(os.environ.get("CONTACT_SANITIZER_SEEDS", "6"))


def words(redeemed: Redeemed) -> list[str | None]:
    return [None if word is None else word.value for word in redeemed.refusals]


@pytest.fixture
def tokens(counter: Counter) -> list[str]:
    counter.sender()
    return counter.tokens(counter.made())


def test_a_sender_gets_the_numbers_of_its_tokens_in_order(counter: Counter, tokens: list[str]) -> None:
    asked = [tokens[3], tokens[0], tokens[3]]
    redeemed = counter.redeem(asked)
    assert redeemed.phones == [NUMBERS[3], NUMBERS[0], NUMBERS[3]]
    assert words(redeemed) == [None] * 3
    assert "13812" not in repr(redeemed)
    assert counter.last_event["operation"] == "tokens.redeemed"
    assert counter.last_event["counts"] == {"tokens": 3, "redeemed": 3}


def test_who_refuses_after_the_delivery_is_refused_at_once(counter: Counter, tokens: list[str]) -> None:
    counter.block(PHONES[1])
    counter.withdraw(PHONES[2])
    counter.block(PHONES[3], "sender:gate")
    redeemed = counter.redeem(tokens)
    assert words(redeemed) == [None, "refused", "refused", "refused", *[None] * 6]
    assert redeemed.phones[1:4] == [None] * 3
    assert counter.last_event["counts"] == {"tokens": 10, "redeemed": 7, "refused": 3}
    counter.sender(until=NOW // 1000 + 9 * YEAR)
    counter.pass_time(2 * YEAR)
    assert set(words(counter.redeem(tokens))) == {"refused"}


def test_a_withdrawal_by_a_clock_that_is_ahead_counts_at_once(counter: Counter, tokens: list[str]) -> None:
    counter.pass_time(30)
    counter.withdraw(PHONES[2])
    desk = counter.place.desk("CN")
    desk.reply(desk.person(PHONES[3]), "TD", "gate", counter.place.registry)
    counter.pass_time(-30)
    assert words(counter.redeem(tokens[:4])) == [None, None, "refused", "refused"]
    assert counter.deliver(counter.made(agreed=False))[0].delivery.rows == 8


def test_a_snapshot_of_the_registry_changes_no_answer(counter: Counter, tokens: list[str]) -> None:
    (use,) = counter.place.catalogue.uses("sender:gate", "marketing")
    many = np.zeros((25_000, 16), np.uint8)
    with counter.place.registry.screening(use.rule, NOW // 1000) as view:
        view.screen(Candidates.of(many, many))
        assert view.standing.snapshot
    assert counter.redeem(tokens).phones == NUMBERS
    counter.block(PHONES[1])
    counter.withdraw(PHONES[2])
    redeemed = counter.redeem(tokens)
    assert redeemed.phones == [None if row in {1, 2} else NUMBERS[row] for row in range(10)]
    assert words(redeemed)[:4] == [None, "refused", "refused", None]


def test_what_is_no_token_of_the_sender_is_told_apart_in_the_audit_alone(counter: Counter) -> None:
    counter.sender()
    counter.sender("other")
    made = counter.made()
    mine = counter.tokens(made)
    theirs = counter.tokens(made, "other")
    shared = TokenMaker(counter.place.keyring, "shared").tokens(blocks_of(["8613812345000"])).to_pylist()
    foreign = counter_at(counter.folder, "second")
    foreign.sender()
    elsewhere = foreign.tokens(foreign.made())
    forged = mine[0][:20] + ("A" if mine[0][20] != "A" else "B") + mine[0][21:]
    asked = {
        "redeemed": mine[:1],
        "other_audience": [*theirs[:2], *shared],
        "key_unknown": elsewhere[:4],
        "token_forged": [forged],
        "token_malformed": [mine[0][:-1], "", "退订", "ct_" + "-" * 50, mine[0].upper(), "\udc80"],
    }
    redeemed = counter.redeem([token for some in asked.values() for token in some])
    assert words(redeemed) == [None, *["not_redeemable"] * 14]
    assert counter.last_event["counts"] == {
        "tokens": 15,
        **{word: len(some) for word, some in asked.items()},
    }


def test_tokens_of_a_destroyed_key_are_not_redeemable(counter: Counter, tokens: list[str]) -> None:
    counter.destroy_key()
    assert set(words(counter.redeem(tokens))) == {"not_redeemable"}
    assert counter.last_event["counts"] == {"tokens": 10, "redeemed": 0, "key_destroyed": 10}


def test_tokens_from_before_a_rotation_are_redeemed(counter: Counter, tokens: list[str]) -> None:
    counter.place.rotate_keys()
    assert counter.redeem(tokens).phones == NUMBERS


DENIED: dict[str, Callable[[Counter, list[str]], object]] = {
    "sender_unknown": lambda c, t: c.redeem(t, "nobody"),
    "sender_revoked": lambda c, t: (c.place.senders.revoke("gate", 1), c.redeem(t)),
    "sender_expired": lambda c, t: (c.pass_time(YEAR), c.redeem(t)),
    "purpose_refused": lambda c, t: c.redeem(t, purpose="service"),
    "right_missing": lambda c, t: (c.sender(rights=("phone",)), c.redeem(t)),
    "quota_exceeded": lambda c, t: (c.sender(quotas=Quotas(redemptions_a_day=9)), c.redeem(t)),
    "too_many_tokens": lambda c, t: c.redeem(t * 101),
}


@pytest.mark.parametrize("code", DENIED)
def test_what_a_sender_may_not_do_is_recorded(code: str, counter: Counter, tokens: list[str]) -> None:
    with pytest.raises(DeliveryError) as raised:
        DENIED[code](counter, tokens)
    assert raised.value.code == code
    assert counter.last_event["operation"] == "tokens.denied"
    assert counter.last_event["code"] == code
    assert list(counter.place.world.records.named(REDEMPTION)) == []


def test_a_token_is_for_the_purpose_that_it_was_delivered_for(counter: Counter) -> None:
    counter.sender(purposes=("marketing", "service"))
    tokens = counter.tokens(counter.made())
    assert set(words(counter.redeem(tokens, purpose="service"))) == {"not_redeemable"}
    assert counter.last_event["counts"]["other_purpose"] == 10
    assert counter.redeem(tokens, purpose=" Marketing").phones == NUMBERS


def test_a_sender_redeems_tokens_of_a_shared_audience_only_where_it_is_registered_for_it(
    counter: Counter,
) -> None:
    counter.sender(audiences=("shared",))
    counter.sender("other")
    counter.made()
    shared = TokenMaker(counter.place.keyring, "shared").tokens(blocks_of([number[1:] for number in NUMBERS]))
    assert counter.redeem(shared.to_pylist()).phones == NUMBERS
    counter.block(PHONES[0])
    assert words(counter.redeem(shared.to_pylist()))[0] == "refused"
    assert set(words(counter.redeem(shared.to_pylist(), "other"))) == {"not_redeemable"}


AGREED = ("  consent: {role: consent, optional: true}\n", "  agreed: {role: consent}\n")
BY_FILE = policy(AGREED, ("evidence: registry", "evidence: column"), ("name: default", "name: by-file"))


def test_a_yes_in_a_file_counts_only_for_those_who_were_delivered_from_it(counter: Counter) -> None:
    counter.sender(until=NOW // 1000 + 9 * YEAR)
    by_registry = counter.tokens(counter.made(phones=PHONES[:5]))
    by_file = counter.tokens(counter.made(BY_FILE, PHONES[5:], agreed=False))
    assert counter.redeem(by_registry + by_file).phones == NUMBERS
    counter.withdraw(PHONES[0])
    counter.withdraw(PHONES[5])
    assert words(counter.redeem(by_registry + by_file)) == [
        None if row not in {0, 5} else "refused" for row in range(10)
    ]
    # the registry's consents are from June, the file from September
    counter.pass_time(730 * 86_400 - 9_000_000)
    assert words(counter.redeem(by_registry)) == ["refused"] * 5
    assert words(counter.redeem(by_file)) == ["refused", *[None] * 4]
    counter.pass_time(9_000_000)
    assert words(counter.redeem(by_file)) == ["refused"] * 5


def test_a_delivery_whose_people_are_no_longer_kept_speaks_for_nobody_and_stops_nobody(
    counter: Counter,
) -> None:
    counter.sender()
    by_registry = counter.made(phones=PHONES[:5])
    by_file = counter.made(BY_FILE, PHONES[5:], agreed=False)
    tokens = [*counter.tokens(by_registry), *counter.tokens(by_file)]
    assert counter.redeem(tokens).phones == NUMBERS
    for note in home_of(counter.place).places.deliveries.glob("*.people"):
        note.unlink()
    assert words(counter.redeem(tokens)) == [None] * 5 + ["refused"] * 5


def by_two_files(counter: Counter) -> tuple[list[str], Path]:
    """Tokens of three lists whose uses disagree, and the note of the one that has the last two people."""
    counter.sender()
    made = [
        counter.made(phones=PHONES[:5]),
        counter.made(BY_FILE, PHONES[5:8], agreed=False),
        counter.made(BY_FILE, PHONES[8:], agreed=False),
    ]
    delivered = [counter.deliver(each) for each in made]
    (*_, last), notes = delivered, home_of(counter.place).places.deliveries
    note = notes / f"{last[0].delivery.delivery_id}.people"
    return [token for _, out in delivered for token in column(out, "token")], note


def test_a_damaged_note_refuses_those_alone_whom_no_other_note_has(counter: Counter) -> None:
    tokens, note = by_two_files(counter)
    content = note.read_bytes()
    note.write_bytes(content[:-1])
    redeemed = counter.redeem(tokens)
    assert words(redeemed) == [*[None] * 8, "refused", "refused"]
    denied, done = counter.events[-2:]
    assert (denied["operation"], denied["code"]) == ("tokens.denied", "people_damaged")
    assert (denied["delivery_id"], denied["counts"]) == (note.stem, {"tokens": 2})
    assert done["counts"] == {"tokens": 10, "redeemed": 8, "refused": 2}
    assert words(counter.redeem(tokens[:8])) == [None] * 8
    note.write_bytes(content)
    assert counter.redeem(tokens).phones == NUMBERS


def test_a_note_that_cannot_be_read_now_is_named_and_no_word_about_anybody(counter: Counter) -> None:
    tokens, note = by_two_files(counter)
    content = note.read_bytes()
    note.unlink()
    note.mkdir()
    with pytest.raises(DeliveryError, match=f"people_damaged: .*{note.stem}"):
        counter.redeem(tokens)
    assert counter.last_event["operation"] == "tokens.denied"
    assert counter.last_event["delivery_id"] == note.stem
    assert list(counter.place.world.records.named(REDEMPTION)) == []
    note.rmdir()
    note.write_bytes(content)
    assert counter.redeem(tokens).phones == NUMBERS


@dataclass
class ErasedFrom:
    """A note; somebody on it is erased when it is opened for the first time."""

    path: Path
    erase: list[Callable[[], object]]

    @property
    def name(self) -> str:
        return self.path.name

    def open(self) -> BinaryIO:
        while self.erase:
            self.erase.pop()()
        return self.path.open("rb")


def test_a_note_that_is_replaced_while_it_is_read_is_read_as_it_is_then(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, note = by_two_files(counter)
    place = counter.place
    erasures: list[Callable[[], object]] = [
        lambda: erase(place.desk("CN").person(PHONES[9]), place.erase_desk)
    ]
    people = DeliveryFolder.people

    def opened(self: DeliveryFolder, delivery_id: ListId) -> LocalFile | ErasedFrom:
        return ErasedFrom(note, erasures) if delivery_id == note.stem else people(self, delivery_id)

    monkeypatch.setattr(DeliveryFolder, "people", opened)
    assert words(counter.redeem(tokens)) == [*[None] * 9, "refused"]
    assert not erasures
    assert "tokens.denied" not in {event["operation"] for event in counter.events}


def test_whose_numbers_were_handed_out_is_kept_without_a_number(counter: Counter, tokens: list[str]) -> None:
    counter.block(PHONES[0])
    counter.redeem(tokens)
    (kept,) = counter.place.world.records.named(REDEMPTION)
    assert kept.document["sender"] == "gate"
    assert kept.document["counts"] == {"tokens": 10, "redeemed": 9, "refused": 1}
    assert len(kept.document["people"]) == 9 * 16 * 4 // 3


def test_quotas_are_by_the_minute_and_by_the_day(counter: Counter) -> None:
    counter.sender(quotas=Quotas(redemptions_a_minute=20, redemptions_a_day=50))
    tokens = counter.tokens(counter.made())
    for _ in range(2):
        counter.redeem(tokens)
        counter.redeem(["junk"] * 10)
        with pytest.raises(DeliveryError, match="of this minute"):
            counter.redeem(tokens[:1])
        counter.pass_time(60)
    counter.redeem(tokens)
    counter.pass_time(60)
    with pytest.raises(DeliveryError, match="of this day"):
        counter.redeem(tokens)
    counter.pass_time(86_400)
    counter.redeem(tokens)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_redemptions_at_once_never_pass_a_quota(seed: int, tmp_path: Path) -> None:
    counter = counter_at(tmp_path)
    dice = random.Random(seed)  # noqa: S311 - a test's dice
    limit = dice.randint(10, 60)
    counter.sender(quotas=Quotas(redemptions_a_minute=limit))
    tokens = counter.tokens(counter.made())
    sizes = [[dice.randint(1, 10) for _ in range(6)] for _ in range(3)]

    def work(wanted: list[int]) -> int:
        got = 0
        with Workspace.open(tmp_path / "home", clock=lambda: NOW, principal="tester") as place:
            other = Counter(tmp_path, place)
            for size in wanted:
                with suppress(DeliveryError):
                    got += sum(phone is not None for phone in other.redeem(tokens[:size]).phones)
        return got

    with ThreadPoolExecutor(3) as pool:
        redeemed = sum(pool.map(work, sizes))
    assert {event["code"] for event in counter.events if "code" in event} <= {"quota_exceeded"}
    assert redeemed <= limit
    assert redeemed >= min(limit - 9, sum(map(sum, sizes)))
    assert (
        sum(event["counts"]["redeemed"] for event in counter.events if "redeemed" in event.get("counts", {}))
        == redeemed
    )


def test_a_register_that_is_too_old_stops_redemption(counter: Counter) -> None:
    counter.sender(until=NOW // 1000 + 9 * YEAR)
    rules = policy(("scopes: [global, tenant]", "scopes: [global, tenant], max_age_days: {global: 31}"))
    block_global(counter)
    tokens = counter.tokens(counter.made(rules))
    assert counter.redeem(tokens).phones == NUMBERS
    counter.pass_time(32 * 86_400)
    with pytest.raises(RegistryError, match="register_stale"):
        counter.redeem(tokens)


def block_global(counter: Counter) -> None:
    from contact_sanitizer.screening.recording import ImportMark  # noqa: PLC0415 - beside its one use

    mark = ImportMark("x", 0, NOW // 1000, frozenset({"global"}))
    counter.place.registry.record([], mark)


def test_a_damaged_use_stops_redemption(counter: Counter, tokens: list[str]) -> None:
    records = counter.place.world.records
    for use in records.named("use", "sender:gate/"):
        records.put("use", use.name, {"rule": 7}, after=use.version)
    with pytest.raises(ContactSanitizerError, match="catalogue_damaged"):
        counter.redeem(tokens)
