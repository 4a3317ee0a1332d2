"""After a day of work: where nothing personal may be. Comes after what it looks at, in the folder's order."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from canaries import spellings
from cloudcast import Cast, sample_numbers
from demo import TENANT, upload, wait_for_queue, wait_for_upload
from rehearsal import Rehearsal

PHONES: Final = [f"1391357{number:04}" for number in range(9002, 9014)]
IN_A_KEY: Final = "13913570001"
NAME: Final = "卡娜丽鸢"
RESIDENT: Final = "990000198501017771"
MAIL: Final = "kanali@mail.example"
PLANTED: Final = "1370246%04d"
"""A control of its own for each place."""


def canaries() -> dict[bytes, str]:
    """What may be nowhere, in all forms, and what each is."""
    forms = {form: "phone" for phone in PHONES for form in spellings(phone)}
    forms |= dict.fromkeys((NAME.encode(), NAME.encode("gb18030"), NAME.encode("unicode-escape")), "name")
    forms |= dict.fromkeys(spellings(IN_A_KEY), "key of an object")
    return forms | {RESIDENT.encode(): "resident id", MAIL.encode(): "mail"}


def personal_list() -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["手机号", "姓名", "城市", "备注", "短信授权"])
    for phone in PHONES:
        rows.writerow([phone, NAME, f"see {phone}, {RESIDENT}", f"{MAIL} {phone}", "是"])
    rows.writerow([f"{PHONES[0]}/{PHONES[1]}", NAME, RESIDENT, MAIL, ""])
    rows.writerow([f"{PHONES[2]}(已退订)", NAME, PHONES[3], "", ""])
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def worked(cast: Cast, made: dict[str, Any]) -> str:
    """A list of canaries, made and refused, and canaries where nobody expects them; the list's id."""
    stack = cast.stack
    status = wait_for_upload(stack, cast.uploader, upload(stack, cast.uploader, personal_list()))
    broken = upload(stack, cast.uploader, personal_list() + b'"' + PHONES[4].encode() + b"\xff\n")
    wait_for_upload(stack, cast.uploader, broken)
    stack.client("s3", cast.uploader).put_object(
        Bucket=stack.outputs["UploadsBucket"],
        Key=f"uploads/{TENANT}/{IN_A_KEY}.csv",
        Body=personal_list(),
        Metadata={"note": PHONES[5]},
    )
    stack.call(cast.operator, "POST", "/consents", {"consents": [{"phone": PHONES[6], PHONES[6]: NAME}]})
    stack.call(cast.operator, "POST", "/optouts", {"phone": PHONES[7], "message": f"TD {NAME} {PHONES[7]}"})
    stack.call(cast.operator, "POST", "/optouts", {"phone": f"{PHONES[8]}9999", "message": MAIL})
    stack.call(cast.uploader, "GET", f"/lists/{PHONES[9]}")
    stack.call(cast.uploader, "POST", "/uploads", {"policy": PHONES[10]})
    wish = {"sender": PHONES[11], "purpose": MAIL, "tokens": [PHONES[11]]}
    stack.call(cast.sender, "POST", "/tokens/redeem", wish)
    wait_for_queue(stack, "SanitizeQueueUrl")
    assert made["state"] == status["state"] == "made"
    list_id: str = status["list_id"]
    return list_id


def contents_of(stack: Rehearsal, *, of_uploads: bool = False) -> dict[str, bytes]:
    """What the emulator holds, by place; of its buckets all but the one for uploads, or that one alone."""
    uploads = stack.outputs["UploadsBucket"]
    contents: dict[str, list[bytes]] = defaultdict(list)
    for place, content in stack.emulator.memory():
        if (place.startswith("s3/") and uploads in place) == of_uploads:
            contents["/".join(place.split("/")[:2])].append(content)
    for place, content in _left_over(stack):
        contents[place].append(content)
    return {place: b"\n".join(several) for place, several in contents.items()}


def held(contents: Mapping[str, bytes], forms: Mapping[bytes, str]) -> dict[str, set[str]]:
    """Where any of these forms is found, by what it is."""
    found: dict[str, set[str]] = defaultdict(set)
    for form, kind in forms.items():
        for place, content in contents.items():
            if form in content:
                found[kind].add(place)
    return found


def _left_over(stack: Rehearsal) -> Iterator[tuple[str, bytes]]:
    """Files that functions, whose scratch space this folder is, have left; but their code."""
    for entry in stack.emulator.folder.iterdir():
        if entry.name.startswith("ministack-lambda-") or entry.suffix in {".jsonl", ".log"}:
            continue
        for file in [entry, *entry.rglob("*")]:
            if file.is_file():
                yield "files/scratch", file.read_bytes()


def test_nothing_personal_is_anywhere_but_among_the_uploads(cast: Cast, worked: str) -> None:
    """In buckets, tables, queues, logs, metrics, tags, alarms, rules, functions' and stacks' descriptions."""
    assert worked
    contents = contents_of(cast.stack)
    assert len(contents) > 50
    assert held(contents, canaries()) == {}
    samples = sample_numbers()
    for place, content in contents.items():
        found = {number.decode() for number in re.findall(rb"(?=(1\d{10}))", content)}
        assert not found & samples, place


Plant = Callable[[Rehearsal, str], Any]


def _queued(stack: Rehearsal, output: str, number: str) -> dict[str, str]:
    queue = {"QueueUrl": stack.outputs[output]}
    stack.client("sqs").send_message(**queue, MessageBody=number)
    return queue


def _in_flight(stack: Rehearsal, number: str) -> None:
    queue = _queued(stack, "ImportDeadLetterUrl", number)
    stack.client("sqs").receive_message(**queue, MaxNumberOfMessages=10, VisibilityTimeout=600)


def _logged(stack: Rehearsal, number: str) -> None:
    stream = {"logGroupName": stack.physical("SealLog"), "logStreamName": "control"}
    stack.client("logs").create_log_stream(**stream)
    stack.client("logs").put_log_events(
        **stream, logEvents=[{"timestamp": 1_790_000_000_000, "message": number}]
    )


def _object(stack: Rehearsal, **more: Any) -> dict[str, Any]:
    at = {"Bucket": stack.outputs["CleanBucket"], "Key": "elsewhere/control"}
    stack.client("s3").put_object(**at, **more)
    return at


def _tagged(stack: Rehearsal, number: str) -> None:
    tags = {"TagSet": [{"Key": "control", "Value": number}]}
    stack.client("s3").put_object_tagging(**_object(stack), Tagging=tags)


def _stacked(stack: Rehearsal, number: str) -> None:
    handle = '"Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}'
    body = f'{{{handle}, "Outputs": {{"Control": {{"Value": "{number}"}}}}}}'
    stack.client("cloudformation").create_stack(StackName="control", TemplateBody=body)


def _described(stack: Rehearsal, number: str) -> None:
    stack.client("lambda").update_function_configuration(
        FunctionName=stack.physical("CheckpointFunction"), Description=number
    )


def _alarmed(stack: Rehearsal, number: str) -> None:
    stack.client("cloudwatch").put_metric_alarm(
        AlarmName="control",
        AlarmDescription=number,
        MetricName="Control",
        Namespace="Control",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )


def _measured(stack: Rehearsal, number: str) -> None:
    measured = {"MetricName": "Control", "Value": 1, "Dimensions": [{"Name": "control", "Value": number}]}
    stack.client("cloudwatch").put_metric_data(Namespace="Control", MetricData=[measured])


CONTROLS: Final[Mapping[str, tuple[str, Plant]]] = {
    "an object": ("s3/", lambda stack, number: _object(stack, Body=number.encode())),
    "metadata of an object": ("s3/", lambda stack, number: _object(stack, Metadata={"control": number})),
    "a tag of an object": ("s3/", _tagged),
    "an item": (
        "dynamodb/",
        lambda stack, number: stack.client("dynamodb").put_item(
            TableName=stack.outputs["CatalogueTable"], Item={"pk": {"S": "control"}, "sk": {"S": number}}
        ),
    ),
    "a dead letter": ("sqs/", lambda stack, number: _queued(stack, "SanitizeDeadLetterUrl", number)),
    "a message in flight": ("sqs/", _in_flight),
    "a line of a log": ("cloudwatch_logs/", _logged),
    "a metric": ("cloudwatch/", _measured),
    "an alarm": ("cloudwatch/", _alarmed),
    "a function": ("lambda_svc/", _described),
    "a rule": (
        "eventbridge/",
        lambda stack, number: stack.client("events").put_rule(
            Name="control", Description=number, EventPattern='{"source": ["control"]}'
        ),
    ),
    "a tag of a key": (
        "kms/",
        lambda stack, number: stack.client("kms").tag_resource(
            KeyId=stack.outputs["DataKeyArn"], Tags=[{"TagKey": "control", "TagValue": number}]
        ),
    ),
    "a tag of a role": (
        "iam/",
        lambda stack, number: stack.client("iam").tag_role(
            RoleName=stack.physical("SealRole"), Tags=[{"Key": "control", "Value": number}]
        ),
    ),
    "an output of a stack": ("cloudformation/", _stacked),
    "a file of a function": (
        "files/",
        lambda stack, number: (stack.emulator.folder / "control").write_text(number),
    ),
}


def test_each_kind_of_place_is_looked_at(cast: Cast, worked: str) -> None:
    """A number is planted in each, and found there."""
    assert worked
    numbers = {kind: PLANTED % place for place, kind in enumerate(CONTROLS)}
    for kind, (_, plant) in CONTROLS.items():
        plant(cast.stack, numbers[kind])
    found = held(contents_of(cast.stack), {number.encode(): kind for kind, number in numbers.items()})
    for kind, (service, _) in CONTROLS.items():
        assert [place for place in found[kind] if place.startswith(service)], kind


def test_what_is_left_out_holds_what_was_uploaded(cast: Cast, worked: str) -> None:
    """A list that was refused lies there until the day is over."""
    assert worked
    uploads = b"".join(contents_of(cast.stack, of_uploads=True).values())
    assert all(phone.encode() in uploads for phone in PHONES)
