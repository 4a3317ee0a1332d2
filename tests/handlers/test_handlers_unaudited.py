"""Where the audit log takes nothing, no function has an effect."""

from __future__ import annotations

import pytest

from cloudworld import CATALOGUE, CLEAN
from contact_sanitizer.access import Role
from contact_sanitizer.delivery.senders import Quotas, Right, Sender
from contact_sanitizer.handlers.deliver import handler as deliver
from contact_sanitizer.handlers.record_choice import handler as record_choice
from contact_sanitizer.handlers.redeem import handler as redeem
from contact_sanitizer.handlers.request_upload import handler as request_upload
from faultdesk import KEY, ROWS, FaultDesk, arrival_of

SENDER = Sender(
    "gate",
    "LIC-1",
    4_000_000_000,
    purposes=("marketing",),
    rights=(Right.TOKENS,),
    quotas=Quotas(redemptions_a_day=5),
    registered_at=1,
)
WISH = {"sender": "gate", "purpose": "marketing"}
CHOICE = {"phone": "13512345678", "status": "granted", "purpose": "marketing", "channel": "sms"}


@pytest.mark.parametrize("kind", ["denied", "500", "timeout"])
def test_where_the_audit_log_takes_nothing_nothing_happens(faults: FaultDesk, kind: str) -> None:
    desk = faults.desk
    desk.workspace.senders.register(SENDER)
    desk.map("arn:aws:iam::123456789012:role/marketing-upload", *Role, sender="gate")
    made = desk.put(KEY, ROWS)
    assert faults.attempt(made)
    list_id = arrival_of(made).list_id
    delivered = desk.call(deliver, f"POST /lists/{list_id}/deliveries", WISH)
    assert delivered.status == 200, delivered.text
    file = f"deliveries/default/{delivered.document['delivery']}/content"
    tokens = desk.cloud.clients.s3.get_object(Bucket=CLEAN, Key=file)["Body"].read().decode().splitlines()[1:]
    redeemed = desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": tokens})
    assert [result["phone"] for result in redeemed.document["results"]] == [
        "+8613812345678",
        "+8613912345678",
    ]
    message = desk.put(KEY, ROWS)
    held = faults.held()
    faults.calls.audit_log = kind
    assert not faults.attempt(message)
    assert faults.readable(arrival_of(message).list_id) is None
    answers = [
        desk.call(request_upload, "POST /uploads", {}),
        desk.call(record_choice, "POST /consents", {"items": [CHOICE]}),
        desk.call(deliver, f"POST /lists/{list_id}/deliveries", WISH | {"format": "jsonl"}),
        desk.call(redeem, "POST /tokens/redeem", WISH | {"tokens": tokens}),
    ]
    assert [answer.status for answer in answers] == [503] * 4
    assert not [answer for answer in answers if "13812345678" in answer.text or "fields" in answer.text]
    # A redemption that was not answered may be counted: a quota errs on the side of whom it protects.
    changed = {(entry[0], entry[1]) for entry in faults.held() ^ held}
    assert changed <= {(CATALOGUE, "default#counter")}
