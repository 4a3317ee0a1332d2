"""A refusal reaches a sender's system by the stack's event bus, on the deployed application."""

from __future__ import annotations

import json
import time
from typing import Any

from cloudcast import DENIED, Cast, on_stack, refused

WISH = {"sender": "bell", "purpose": "marketing"}
REGISTERED = ["senders", "add", "bell", "--licence", "L-2", "--until", "2099-01-01", "--purpose", "marketing"]
PATIENCE = 30.0


def listening(cast: Cast) -> str:
    """A sender's own queue behind a rule on the bus."""
    sqs, events = cast.stack.client("sqs"), cast.stack.client("events")
    url: str = sqs.create_queue(QueueName="bell")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus = cast.stack.outputs["NoticeBusName"]
    pattern = {"detail-type": ["recalls.pending"], "detail": {"sender": ["bell"]}}
    events.put_rule(Name="bell", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(Rule="bell", EventBusName=bus, Targets=[{"Id": "bell", "Arn": arn}])
    return url


def told(cast: Cast, url: str) -> list[dict[str, Any]]:
    answer = cast.stack.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def test_who_refuses_after_a_delivery_is_a_notice_on_the_bus(cast: Cast, made: dict[str, Any]) -> None:
    url, bell = listening(cast), cast.stack.person("bell", ["Sender"])
    arn = cast.stack.client("iam").get_user(UserName="bell")["User"]["Arn"]
    assert on_stack(cast, cast.operator, *REGISTERED, "--principal", arn).status == 0
    delivery = cast.stack.call(bell, "POST", f"/lists/{made['list_id']}/deliveries", WISH).json
    content = cast.stack.fetch(delivery["url"]).body.decode()
    token = content.splitlines()[5].split(",")[0]
    redeemed = cast.stack.call(bell, "POST", "/tokens/redeem", WISH | {"tokens": [token]}).json
    (phone,) = [each["phone"] for each in redeemed["results"]]
    cast.stack.invoke("NoticesFunction")
    assert cast.stack.call(bell, "POST", "/optouts", {"phone": phone, "message": "TD"}).status == 200
    cast.stack.invoke("NoticesFunction")
    said, until = told(cast, url), time.monotonic() + PATIENCE
    while not said and time.monotonic() < until:
        time.sleep(0.2)
        said = told(cast, url)
    (event,) = said
    assert (event["source"], event["detail-type"]) == ("contact-sanitizer", "recalls.pending")
    assert event["detail"]["delivery"] == delivery["delivery"]
    assert event["detail"]["unacknowledged"] == 1
    assert phone.lstrip("+") not in json.dumps(event)
    waiting = on_stack(cast, cast.security, "recalls", "pending", "--json").document["pending"]
    assert delivery["delivery"] in {each["delivery"] for each in waiting}
    forged = {"Source": "contact-sanitizer", "DetailType": "recalls.pending", "Detail": "{}"}
    forged["EventBusName"] = cast.stack.outputs["NoticeBusName"]
    for person in (bell, cast.security, cast.stranger):
        events = cast.stack.client("events", person)
        assert refused(lambda events=events: events.put_events(Entries=[forged])) in DENIED
