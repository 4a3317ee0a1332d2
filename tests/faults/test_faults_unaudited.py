"""A home whose audit log takes an event no more: what that event announces does not happen."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from commands import Said, command
from contact_sanitizer.audit.actions import Action
from trail import operations
from unaudited import announced, log_lost_at

PHONES = ["13812345678", "13912345678", "13612345678"]
State = dict[tuple[str, ...], bytes]


@dataclass(frozen=True)
class Case:
    """A command and the action of which the log is not told.

    `before`: that was done as the events before it say, in this part of the state. `fails`: the command's
    own end, where the log takes everything.
    """

    action: Action
    words: str
    give: str = ""
    before: tuple[str, ...] = ()
    fails: str = ""


CASES = [
    Case(Action.HOME_CREATED, "--tenant new init"),
    Case(Action.LIST_STARTED, "run {folder}/list.csv --out {folder}/out"),
    Case(Action.LIST_PUBLISHED, "run {folder}/list.csv --out {folder}/out", before=("list",)),
    Case(
        Action.LIST_FAILED,
        "run {folder}/nothing.csv --out {folder}/out",
        before=("list",),
        fails="phone_column_missing",
    ),
    Case(Action.LIST_FORGOTTEN, "lists forget {failed}"),
    Case(Action.CONSENT_RECORDED, "consent record - --purpose marketing --channel sms", PHONES[2]),
    Case(Action.CONSENT_WITHDRAWN, "consent withdraw -", PHONES[0]),
    Case(Action.CONSENT_IMPORTED, "consent import {folder}/consents.csv"),
    Case(Action.PERSON_SHOWN, "consent show -", PHONES[0]),
    Case(Action.PERSON_SHOWN, "block show -", PHONES[0]),
    Case(Action.BLOCK_ADDED, "block add -", PHONES[0]),
    Case(Action.BLOCK_IMPORTED, "block import {folder}/blocks.csv"),
    Case(Action.BLOCK_REMOVED, "block remove - --why mistaken", PHONES[1]),
    Case(
        Action.REGISTRY_IMPORTED,
        "consent import {folder}/consents.csv",
        before=("event", "import", "sqlite_sequence"),
    ),
    Case(Action.OPTOUT_RECORDED, "optout TD --from -", PHONES[0]),
    Case(Action.OPTOUT_RECORDED, "optout perhaps --from -", PHONES[0]),
    Case(Action.KEY_ROTATED, "keys rotate"),
    Case(Action.KEY_DESTROYED, "keys destroy {key} --yes"),
    Case(Action.SENDER_REGISTERED, "senders add other --licence X1 --until 2027-12-31 --purpose marketing"),
    Case(Action.SENDER_REVOKED, "senders revoke gate"),
    Case(Action.DELIVERY_BEGUN, "deliver {list} --to gate --purpose marketing --out {folder}/out.csv"),
    Case(
        Action.DELIVERY_PUBLISHED,
        "deliver {list} --to gate --purpose marketing --format jsonl --out {folder}/out.jsonl",
        # A note of whose numbers the tokens are lies there before anybody can redeem them.
        before=("used", "content", "delivery", ".people"),
    ),
    Case(
        Action.DELIVERY_DENIED,
        "deliver {list} --to gate --purpose service --out {folder}/out.csv",
        fails="purpose_refused",
    ),
    Case(
        Action.DELIVERY_FAILED,
        "deliver {list} --to gate --purpose marketing --out {folder}/list.csv/out.csv",
        fails="out_unwritable",
    ),
    Case(Action.TOKENS_REDEEMED, "redeem --as gate --purpose marketing {folder}/tokens", before=("counter",)),
    Case(
        Action.TOKENS_DENIED,
        "redeem --as gate --purpose service {folder}/tokens",
        fails="purpose_refused",
    ),
    Case(Action.RECALLS_FOUND, "recalls {delivery}"),
    Case(Action.RECALLS_FOUND, "recalls pending"),
    Case(Action.RECALLS_SHOWN, "recalls {delivery}", before=("recall",)),
    Case(Action.RECALLS_ACKNOWLEDGED, "recalls ack {delivery}"),
    Case(Action.RECALLS_DENIED, "recalls 01M7ZT0DJDF2J8BMSQKKBD2K7R", fails="delivery_unknown"),
    Case(Action.PERSON_TRACED, "trace -", PHONES[0]),
    # Somebody who is on no list: a copied home still leads to the lists of the first one.
    Case(Action.PERSON_ERASED, "erase - --leave-refusal", "13712345678"),
    # The event names the next key, which is there before and signs nothing yet.
    Case(Action.AUDIT_REKEYED, "audit rotate-key", before=("audit-key-next.json",)),
    Case(Action.AUDIT_VERIFIED, "audit verify"),
    Case(Action.AUDIT_REPORTED, "audit report"),
    Case(Action.AUDIT_REPORTED, "audit report --html {folder}/page.html"),
]
LOOKS = {Action.PERSON_SHOWN, Action.PERSON_TRACED, Action.RECALLS_SHOWN} | {
    Action.AUDIT_VERIFIED,
    Action.AUDIT_REPORTED,
}
"""What is done here only tells something."""

OF_STACKS = frozenset(
    {
        Action.RECALLS_NOTIFIED,
        Action.UPLOAD_REQUESTED,
        Action.UPLOAD_DENIED,
        Action.UPLOAD_SHOWN,
        Action.UPLOAD_DELETED,
        Action.LIST_SHOWN,
        Action.POLICY_CHANGED,
        Action.PRINCIPAL_ADMITTED,
        Action.PRINCIPAL_REMOVED,
        Action.ACCESS_DENIED,
        Action.QUEUE_REDRIVEN,
        Action.AUDIT_RECONCILED,
    }
)
"""What is done in stacks alone."""


@dataclass(frozen=True)
class Place:
    """A home with people, a list, a sender, a delivery that has a recall, and a key of before (`key`)."""

    folder: Path
    list_id: str
    delivery: str
    key: int
    failed: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, case: Case) -> Said:
        ids = {"list": self.list_id, "delivery": self.delivery, "failed": self.failed, "key": self.key}
        named = {"folder": self.folder, **ids}
        words = [word.format(**named) for word in case.words.split()]
        return command(*words, home=self.home, give=case.give.encode() + b"\n")

    def copied(self, folder: Path) -> Place:
        return replace(self, folder=shutil.copytree(self.folder, folder))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("prepared")
    home = folder / "home"
    (folder / "list.csv").write_text("phone\n" + "\n".join(PHONES) + "\n")
    (folder / "nothing.csv").write_text("a,b\n1,2\n")
    (folder / "blocks.csv").write_text("phone\n13712345678\n")
    (folder / "consents.csv").write_text("phone,purpose,channel,status\n13712345678,marketing,sms,granted\n")
    key = command("keys", "rotate", "--json", home=home).document["keys"][0]["id"]
    for phone in PHONES:
        words = ("consent", "record", "-", "--purpose", "marketing", "--channel", "sms")
        assert command(*words, home=home, give=phone.encode() + b"\n").status == 0
    gate = ("senders", "add", "gate", "--licence", "X1", "--until", "2027-12-31", "--purpose", "marketing")
    assert command(*gate, home=home).status == 0
    made = command("run", folder / "list.csv", "--json", home=home).document
    to_gate = ("--to", "gate", "--purpose", "marketing", "--out", folder / "given.csv", "--json")
    delivered = command("deliver", made["list_id"], *to_gate, home=home).document
    (folder / "tokens").write_text((folder / "given.csv").read_text().partition("\n")[2])
    # Found by nobody yet: who looks for recalls notes it.
    assert command("block", "add", "-", home=home, give=PHONES[1].encode() + b"\n").status == 0
    assert command("run", folder / "nothing.csv", home=home).code == "phone_column_missing"
    (failed,) = (
        entry["list_id"]
        for entry in command("lists", "--json", home=home).document["lists"]
        if entry["state"] == "failed"
    )
    return Place(folder, made["list_id"], delivered["delivery"], key, failed)


def state_of(place: Place) -> State:
    """All that a home and the files beside it hold, but for the log."""
    state: State = {}
    for path in place.folder.rglob("*"):
        name = str(path.relative_to(place.folder))
        if path.suffix == ".sqlite":
            state |= _rows(path, name)
        elif path.is_file() and not name.startswith("home/audit/") and ".sqlite" not in name:
            state[("file", name)] = path.read_bytes()
    return state


def _rows(path: Path, name: str) -> State:
    state: State = {}
    with closing(sqlite3.connect(path)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            for row in db.execute(f'SELECT * FROM "{table}"').fetchall():  # noqa: S608 - the file's own names
                kind = str(row[0]) if table == "record" else table
                state[("row", name, kind, repr(row))] = b""
    return state


def changes(before: State, after: State, allowed: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """What came, went or changed, by file or table."""
    changed = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return sorted({key[1:3] for key in changed if not key[:3][-1].endswith(allowed)})


def lose_log(home: Path) -> None:
    """A file stands where the log's folder was."""
    segments = home / "audit" / "segments"
    if segments.is_dir():
        shutil.rmtree(segments)
        segments.write_bytes(b"")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.action} {case.words.partition(' {')[0]}")
def test_what_cannot_be_announced_does_not_happen(case: Case, prepared: Place, tmp_path: Path) -> None:
    place = prepared.copied(tmp_path / "place")
    before = state_of(place)
    with log_lost_at(case.action, partial(lose_log, place.home)) as heard:
        said = place.run(case)
    assert case.action in heard, heard
    assert said.end.code == "audit_unwritable"
    assert said.out == ""
    assert not [phone for phone in PHONES if phone in said.err]
    assert changes(before, state_of(place), case.before) == []

    sound = prepared.copied(tmp_path / "sound")
    said = sound.run(case)
    assert case.action in operations(sound.home)[len(operations(prepared.home)) :]
    if case.fails:
        assert said.code == case.fails
    elif case.action in LOOKS:
        assert said.out
    else:
        assert changes(before, state_of(sound))


def test_every_action_has_a_case_and_who_adds_one_adds_its_case() -> None:
    cases = {case.action for case in CASES}
    assert cases | OF_STACKS == {*Action}
    assert not cases & OF_STACKS
    assert announced() == {*Action}
