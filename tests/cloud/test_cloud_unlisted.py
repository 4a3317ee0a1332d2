"""A person is erased by whoever has the policy for it, on the deployed application."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cloudcast import Cast, on_stack

WISH = {"sender": "gill", "purpose": "marketing"}
REGISTERED = ["senders", "add", "gill", "--licence", "L-3", "--until", "2099-01-01", "--purpose", "marketing"]


def test_an_erased_person_is_nowhere_but_in_a_refusal(
    cast: Cast, made: dict[str, Any], tmp_path: Path
) -> None:
    gill, list_id = cast.stack.person("gill", ["Sender"]), made["list_id"]
    arn = cast.stack.client("iam").get_user(UserName="gill")["User"]["Arn"]
    assert on_stack(cast, cast.operator, *REGISTERED, "--principal", arn).status == 0
    delivery = cast.stack.call(gill, "POST", f"/lists/{list_id}/deliveries", WISH).json
    tokens = [row.split(",")[0] for row in cast.stack.fetch(delivery["url"]).body.decode().splitlines()[1:]]
    ask = WISH | {"tokens": tokens[7:9]}
    phone, neighbour = [
        each["phone"] for each in cast.stack.call(gill, "POST", "/tokens/redeem", ask).json["results"]
    ]

    for person in (cast.operator, cast.security, cast.uploader, cast.sender, cast.stranger):
        assert on_stack(cast, person, "erase", "-", give=phone.encode()).status == 1
    assert cast.stack.call(gill, "POST", "/tokens/redeem", ask).json["results"][0].get("phone") == phone

    eraser = cast.stack.person("erin", ["Eraser"], {"contact-sanitizer": "operator"})
    receipt = tmp_path / "receipt.json"
    words = ("erase", "-", "--leave-refusal", "--receipt", receipt, "--json")
    said = on_stack(cast, eraser, *words, give=phone.encode())
    document = json.loads(receipt.read_bytes())
    # Other tests leave lists behind that failed a moment ago and may be tried again.
    assert {each["state"] for each in document["unfinished"]} <= {"failed"}, said
    assert said.status == bool(document["unfinished"])
    assert phone.lstrip("+") not in said.out + said.err + receipt.read_text()
    removed = document["removed"]
    assert min(removed[kind] for kind in ("consents", "lists", "clean_rows", "deliveries", "redemptions")) > 0
    assert "gill" in {each["sender"] for each in document["recipients"]}

    left, kept = cast.stack.call(gill, "POST", "/tokens/redeem", ask).json["results"]
    assert (left.get("phone"), kept.get("phone")) == (None, neighbour)
    again = cast.stack.call(gill, "POST", f"/lists/{list_id}/deliveries", WISH | {"format": "jsonl"}).json
    assert again["rows"] < delivery["rows"]
    story = json.loads(on_stack(cast, cast.security, "trace", "-", "--json", give=phone.encode()).out)
    assert [story[name] for name in ("lists", "deliveries", "redemptions")] == [[], [], []]
    assert "suppress" in json.dumps(story["recorded"])
    assert cast.stack.call(gill, "GET", f"/deliveries/{delivery['delivery']}/recalls").status == 200
    cast.stack.invoke("SealFunction")
    verified = on_stack(cast, cast.security, "audit", "verify", "--json")
    assert verified.status == 0, verified
