"""A tenant that a stack and a laptop share: same keys, policy, registry and moments make the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyrage
import pytest

from cloudcast import Cast, commanded, working_as
from commands import command
from contact_sanitizer.delivery.deliver import Delivered, DeliveryRequest, deliver
from contact_sanitizer.delivery.deliveries import Deliveries, Delivery
from contact_sanitizer.delivery.rendering import Form
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.policy import parse_policy
from contact_sanitizer.protection.keyring_json import dump_keyring
from contact_sanitizer.registering.blocklists import BlockDefaults
from contact_sanitizer.registering.consentlists import ConsentDefaults
from contact_sanitizer.workspace import Workspace
from demo import EXAMPLES, put, wait_for_queue
from desk import OPENED
from rehearsal import STACK, Person

TENANT: Final = "twin"
POLICY: Final = b"""\
format: contact-sanitizer/policy/v1
name: twins
default_region: CN
columns:
  phone: {role: phone}
  agreed: {role: consent, from: [\xe7\x9f\xad\xe4\xbf\xa1\xe6\x8e\x88\xe6\x9d\x83]}
  city: {do: keep, from: [\xe5\x9f\x8e\xe5\xb8\x82]}
  note: {do: encrypt, from: [\xe5\xa4\x87\xe6\xb3\xa8]}
  name: {do: hash, from: [\xe5\xa7\x93\xe5\x90\x8d]}
consent: {purpose: marketing, channel: sms, sender: brand-a, evidence: registry, max_age_days: 730}
suppression: {scopes: [global, tenant, sender]}
output: {format: csv, audience: sms-gateway}
"""
SENDERS: Final = ("plain", "sealed")
LETTERBOX: Final = pyrage.x25519.Identity.generate()


class Clock:
    """Tells moments one after the other, then the last of them for good."""

    def __init__(self, *moments: int) -> None:
        self._moments = list(moments)

    def __call__(self) -> int:
        return self._moments.pop(0) if len(self._moments) > 1 else self._moments[0]


@dataclass
class Twins:
    """The tenant in both worlds, and the one list that both have made."""

    cast: Cast
    sender: Person
    there: Workspace
    home: Path
    list_id: ListId

    def object(self, key: str) -> bytes:
        stack = self.cast.stack
        found = stack.client("s3").get_object(Bucket=stack.outputs["CleanBucket"], Key=key)
        body: bytes = found["Body"].read()
        return body

    def here(self, clock: Clock) -> Workspace:
        return opened(self.home, clock)


def opened(home: Path, clock: Clock) -> Workspace:
    place = Workspace.open(home, TENANT, clock=clock, principal="tester")
    OPENED.append(place)
    return place


def register(add: Any) -> None:
    """Both senders, by whatever takes the words of `senders add`."""
    for name in SENDERS:
        sealed = ["--seal-to", str(LETTERBOX.to_public())] if name == "sealed" else []
        rights = ["--purpose", "marketing", "--right", "tokens", "--right", "hash"]
        quotas = ["--rows-a-day", "100000", "--redemptions-a-day", "1000"]
        licence = ["--licence", "LIC-1", "--until", "2099-01-01"]
        add("senders", "add", name, *licence, *rights, *quotas, *sealed)


@pytest.fixture(scope="module")
def twins(cast: Cast, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    stack, folder = cast.stack, tmp_path_factory.mktemp("twins")
    commanded(stack, cast.operator, "init", "--tenant", TENANT)
    (folder / "policy.yaml").write_bytes(POLICY)
    commanded(
        stack, cast.operator, "policy", "put", folder / "policy.yaml", "--as", "default", "--tenant", TENANT
    )
    for area, file in (("consents", "consents.csv"), ("blocks", "blocklist.csv")):
        put(stack, cast.operator, "UploadsBucket", f"registry/{TENANT}/{area}/{file}", EXAMPLES / file)
        wait_for_queue(stack, "ImportQueueUrl")
    tom = stack.person("tom", ["Sender"])
    arn = stack.client("iam").get_user(UserName="tom")["User"]["Arn"]
    register(lambda *words: commanded(stack, cast.operator, *words, "--tenant", TENANT, "--principal", arn))
    commanded(stack, cast.operator, "principals", "add", arn, "--role", "sender", "--tenant", TENANT)
    uploads = stack.outputs["UploadsBucket"]
    stack.client("s3").put_object(
        Bucket=uploads, Key=f"uploads/{TENANT}/list.csv", Body=(EXAMPLES / "contacts.csv").read_bytes()
    )
    wait_for_queue(stack, "SanitizeQueueUrl")
    with working_as(stack, cast.operator):
        there = Workspace.open_stack(STACK, TENANT)
        (entry,) = there.catalogue.entries()
        yield Twins(cast, tom, there, folder / "home", ListId(entry.list_id))


@pytest.fixture(scope="module")
def published(twins: Twins) -> Manifest:
    """What the stack's list says of itself."""
    return Manifest.decode(twins.object(f"lists/{TENANT}/{twins.list_id}/manifest.json"))


@pytest.fixture(scope="module")
def at_home(twins: Twins, published: Manifest) -> dict[str, bytes]:
    """The files of the list that the laptop makes under the stack's id, with its keys, at its moments."""
    _give_keys(twins.home, dump_keyring(twins.there.keyring))
    here = twins.here(Clock(published.registry_as_of["registers"]["tenant"] * 1000))
    here.imports("CN", _pass_over).consents(EXAMPLES / "consents.csv", ConsentDefaults())
    here.imports("CN", _pass_over).blocks(EXAMPLES / "blocklist.csv", BlockDefaults())
    register(lambda *words: command(*words, "--tenant", TENANT, home=twins.home))
    here.clock = Clock(published.started_at, published.finished_at)
    _, place = here.sanitize(EXAMPLES / "contacts.csv", parse_policy(POLICY), list_id=twins.list_id)
    return {file.name: file.read_bytes() for file in Path(place).iterdir()}


def test_a_deployed_stack_and_a_laptop_make_the_same_list(
    twins: Twins, published: Manifest, at_home: dict[str, bytes]
) -> None:
    """All four files of it, the manifest with its moments included."""
    assert set(at_home) == {"clean.csv", "rejects.csv", "decisions.parquet", "manifest.json"}
    prefix = f"lists/{TENANT}/{twins.list_id}/"
    differing = [name for name, content in at_home.items() if twins.object(prefix + name) != content]
    assert not differing
    assert at_home["clean.csv"].count(b"\nct_") == published.counts.kept > 1000


DELIVERIES: Final = [
    ("plain", Form.TOKEN, "csv"),
    ("plain", Form.TOKEN, "parquet"),
    ("plain", Form.HASH, "jsonl"),
    ("sealed", Form.TOKEN, "csv"),
]


@pytest.mark.parametrize(("sender", "form", "format_"), DELIVERIES)
def test_a_deployed_stack_and_a_laptop_deliver_the_same_bytes(
    twins: Twins, at_home: dict[str, bytes], sender: str, form: Form, format_: str, tmp_path: Path
) -> None:
    """And keep the same note of the same people; what is sealed is the same once it is opened."""
    wish = {"sender": sender, "purpose": "marketing", "as": form.value, "format": format_}
    assert at_home
    answer = twins.cast.stack.call(twins.sender, "POST", f"/lists/{twins.list_id}/deliveries", wish)
    assert answer.status == 200, answer
    kept = Deliveries(twins.there.world.records).get(answer.json["delivery"])
    made, content = _delivered_at_home(twins, kept, tmp_path / "file")
    sent = twins.cast.stack.fetch(answer.json["url"]).body
    people = made.delivery.delivery_id
    if sender == "sealed":
        assert sent != content
        sent, content = (pyrage.decrypt(file, [LETTERBOX]) for file in (sent, content))
        made = replace(made, delivery=replace(made.delivery, sha256=kept.sha256, bytes=kept.bytes))
    assert sent == content
    assert made.delivery == kept
    note = twins.object(f"deliveries/{TENANT}/{people}/people")
    with twins.here(Clock(kept.as_of)).world.deliveries(None).people(people).open() as file:
        assert file.read() == note


def _delivered_at_home(twins: Twins, kept: Delivery, out: Path) -> tuple[Delivered, bytes]:
    """The same list to the same sender, as of the same moment, under the same id."""
    here = twins.here(Clock(kept.as_of))
    desk = replace(here.delivery_desk(str(out)), new_id=lambda: kept.delivery_id)
    request = DeliveryRequest(kept.list_id, kept.sender, kept.purpose, kept.form, kept.format)
    return deliver(request, desk, here.shelf_of), out.read_bytes()


def _give_keys(home: Path, keys: str) -> None:
    """A new home with somebody else's keys instead of its own."""
    keyring = Path(opened(home, Clock(0)).world.keys.where)
    keyring.write_text(keys)


def _pass_over(_row: int, _outcome: str) -> None:
    """A row's outcome is of no interest here."""


def test_a_quota_ends_at_its_last_token(twins: Twins, at_home: dict[str, bytes]) -> None:
    """Up to there tokens open to the numbers that they open to at home; the list's own are no sender's."""
    wish = {"sender": "plain", "purpose": "marketing"}
    path = f"/lists/{twins.list_id}/deliveries"
    link = twins.cast.stack.call(twins.sender, "POST", path, wish).json["url"]
    tokens = [line.split(",")[0] for line in twins.cast.stack.fetch(link).body.decode().splitlines()[1:]]
    redeem = partial(twins.cast.stack.call, twins.sender, "POST", "/tokens/redeem")
    shared = at_home["clean.csv"].decode().splitlines()[1].partition(",")[0]
    assert redeem(wish | {"tokens": [shared]}).json["results"] == [
        {"phone": None, "refused": "not_redeemable"}
    ]
    numbers = [each["phone"] for each in redeem(wish | {"tokens": tokens[:999]}).json["results"]]
    known = ["redeem", "--as", "plain", "--purpose", "marketing", "--tenant", TENANT, "--json"]
    told = command(*known, home=twins.home, give="\n".join(tokens[:999]).encode()).lines
    assert [line["phone"] for line in told] == numbers
    over = redeem(wish | {"tokens": tokens[:1]})
    assert (over.status, over.json["code"]) == (429, "quota_exceeded")


def test_a_caller_of_one_tenant_sees_nothing_of_another(twins: Twins, made: dict[str, Any]) -> None:
    call = partial(twins.cast.stack.call, twins.sender)
    assert [each["list_id"] for each in call("GET", "/lists").json["lists"]] == [twins.list_id]
    for path in (f"/lists/{made['list_id']}", f"/uploads/{made['upload_id']}"):
        assert call("GET", path).status in {403, 404}
    wish = {"sender": "plain", "purpose": "marketing"}
    refused = call("POST", f"/lists/{made['list_id']}/deliveries", wish)
    assert (refused.status, refused.json["code"]) == (404, "list_unknown")
