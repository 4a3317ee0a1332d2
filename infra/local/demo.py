"""The application on an emulator of AWS, used as its people would: `make cloud-demo`.

An operator puts a policy, consents and a blocklist; an uploader asks for a form, sends the sample list with
it and sees what became of it; nobody does anything in between.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from emulator import ROOT, RehearsalError
from rehearsal import OWNER, Person, Rehearsal, build

EXAMPLES: Final = ROOT / "examples"
TENANT: Final = "default"
_PATIENCE: Final = 120.0


def say(text: str) -> None:
    """One line for the person who watches."""
    print(text, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """A step and how long it took."""
    print(f"{text} ... ", end="", flush=True)
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:.0f} s", flush=True)


def put(stack: Rehearsal, person: Person, bucket: str, key: str, path: Path) -> None:
    """Put a file into a bucket of the stack, as that person."""
    s3 = stack.client("s3", person)
    s3.put_object(Bucket=stack.outputs[bucket], Key=key, Body=path.read_bytes())


def wait_for_queue(stack: Rehearsal, output: str) -> None:
    """Until for two seconds nothing waits in a queue and nothing is worked on: events take their way."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    deadline = time.monotonic() + _PATIENCE
    idle = 0
    while idle < 8:
        if time.monotonic() > deadline:
            raise RehearsalError(f"what waits in {output} is not dealt with")
        answer = stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=names
        )
        idle = idle + 1 if not any(int(answer["Attributes"][name]) for name in names) else 0
        time.sleep(0.25)


def upload(stack: Rehearsal, person: Person, content: bytes) -> str:
    """Ask for a form, send the list with it; returns the upload's id."""
    offer = stack.call(person, "POST", "/uploads", {})
    if offer.status != 200:
        raise RehearsalError(f"no form: {offer.status}")
    sent = stack.post_form(offer.json["url"], offer.json["fields"], content)
    if sent.status != 201:
        raise RehearsalError(f"the form was refused: {sent.status}")
    upload_id: str = offer.json["upload_id"]
    return upload_id


def wait_for_upload(stack: Rehearsal, person: Person, upload_id: str) -> dict[str, Any]:
    """What became of the upload, once that is final."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        status: dict[str, Any] = stack.call(person, "GET", f"/uploads/{upload_id}").json
        if status.get("state") in {"made", "refused"}:
            return status
        time.sleep(0.5)
    raise RehearsalError("nothing became of the upload")


def clean_list(stack: Rehearsal, list_id: str) -> bytes:
    """The finished list, which no uploader may read."""
    key = f"lists/{TENANT}/{list_id}/clean.csv"
    body: bytes = stack.client("s3").get_object(Bucket=stack.outputs["CleanBucket"], Key=key)["Body"].read()
    return body


def may(stack: Rehearsal, person: Person, key: str) -> bool:
    """Whether somebody may read an object of the bucket for clean lists."""
    s3 = stack.client("s3", person)
    try:
        s3.head_object(Bucket=stack.outputs["CleanBucket"], Key=key)
    except s3.exceptions.ClientError:
        return False
    return True


def show(stack: Rehearsal, uploader: Person, status: dict[str, Any]) -> None:
    """What the uploader sees, and what lies in the bucket."""
    counts = status["counts"]
    say(f"\nGET /uploads/{status['upload_id']}: {status['state']}, list {status['list_id']}")
    say("  " + ", ".join(f"{name} {counts[name]:,}" for name in ("rows", "kept", "dropped", "rejected")))
    rejects = stack.fetch(status["rejects_url"]).body.decode().splitlines()
    say(f"\nThe rows that were not kept, by the link that the uploader got ({len(rejects) - 1:,} rows):")
    say("\n".join(f"  {line}" for line in rejects[:4]))
    lines = clean_list(stack, status["list_id"]).decode().splitlines()
    say(f"\nThe clean list ({len(lines) - 1:,} rows):")
    say("\n".join(f"  {line}" for line in lines[:4]))
    key = f"lists/{TENANT}/{status['list_id']}/clean.csv"
    say(f"\nMay the uploader read it? {'yes' if may(stack, uploader, key) else 'no: access denied'}")
    say(f"May the stack's owner? {'yes' if may(stack, OWNER, key) else 'no'}")


def main() -> None:
    """Build, deploy, use, take down."""
    with step("Building functions and layers (sam build)"):
        build()
    stack = Rehearsal()
    with step("Starting the emulator on loopback, deploying template.yaml (sam deploy)"):
        stack.start()
    with stack:
        operator = stack.person("olga", ["Operator"], {"contact-sanitizer": "operator"})
        uploader = stack.person("uma", ["Uploader"])
        with step("Operator: policy, consents and blocklist into their buckets; import"):
            put(stack, operator, "CleanBucket", f"policies/{TENANT}/default.yaml", EXAMPLES / "policy.yaml")
            put(
                stack,
                operator,
                "UploadsBucket",
                f"registry/{TENANT}/consents/c.csv",
                EXAMPLES / "consents.csv",
            )
            wait_for_queue(stack, "ImportQueueUrl")
            put(
                stack,
                operator,
                "UploadsBucket",
                f"registry/{TENANT}/blocks/b.csv",
                EXAMPLES / "blocklist.csv",
            )
            wait_for_queue(stack, "ImportQueueUrl")
        with step("Uploader: POST /uploads, send examples/contacts.csv with the form, wait"):
            upload_id = upload(stack, uploader, (EXAMPLES / "contacts.csv").read_bytes())
            status = wait_for_upload(stack, uploader, upload_id)
        show(stack, uploader, status)
    say("\nEverything is taken down again.")


if __name__ == "__main__":
    try:
        main()
    except RehearsalError as error:
        sys.exit(f"\nerror: {error}")
