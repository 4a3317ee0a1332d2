from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from typing import Any

import pytest

from contact_sanitizer.handlers.journal import NAMESPACE, Counted
from contact_sanitizer.handlers.snapshots import TURN
from templates import ROOT, WATCHING, plain, resources, template

FUNCTIONS = resources("AWS::Serverless::Function")
ROUTES = resources("AWS::ApiGatewayV2::Route")
#: What the command line and the functions read; see the stack's settings.
READ_FROM_OUTPUTS = {
    "UploadsBucket",
    "CleanBucket",
    "AuditBucket",
    "RegistryTable",
    "CatalogueTable",
    "DataKeyArn",
    "KeyringKeyArn",
    "SealKeyArn",
    "ApiUrl",
    "SanitizeQueueUrl",
    "SanitizeDeadLetterUrl",
    "ImportQueueUrl",
    "ImportDeadLetterUrl",
}
READ_FROM_ENVIRONMENT = {
    "CS_STACK",
    "CS_UPLOADS_BUCKET",
    "CS_CLEAN_BUCKET",
    "CS_AUDIT_BUCKET",
    "CS_REGISTRY_TABLE",
    "CS_CATALOGUE_TABLE",
    "CS_DATA_KEY",
    "CS_KEYRING_KEY",
    "CS_SEAL_KEY",
    "CS_DEFAULT_TENANT",
    "CS_MAX_UPLOAD_BYTES",
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_handler_of_every_function_exists(name: str) -> None:
    module, _, attribute = FUNCTIONS[name]["Handler"].rpartition(".")
    assert attribute == "handler"
    assert (ROOT / "functions" / module.replace(".", "/")).with_suffix(".py").is_file()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_logs_go_to_an_encrypted_group_of_limited_life(name: str) -> None:
    group = FUNCTIONS[name]["LoggingConfig"]["LogGroup"]["Ref"]
    properties = resources("AWS::Logs::LogGroup")[group]
    assert properties["KmsKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    assert properties["RetentionInDays"] == {"Ref": "LogDays"}
    assert "/contact-sanitizer/${AWS::StackName}/" in properties["LogGroupName"]["Fn::Sub"]


def test_functions_run_on_python_3_13_and_on_arm_by_default() -> None:
    common = template()["Globals"]["Function"]
    assert common["Runtime"] == "python3.13"
    assert common["Architectures"] == [{"Ref": "Architecture"}]
    assert template()["Parameters"]["Architecture"]["Default"] == "arm64"


def test_functions_are_told_what_they_read() -> None:
    assert set(template()["Globals"]["Function"]["Environment"]["Variables"]) == READ_FROM_ENVIRONMENT


def test_the_stack_says_what_the_command_line_reads() -> None:
    outputs = template()["Outputs"]
    assert set(outputs) >= READ_FROM_OUTPUTS
    assert all(output["Description"] for output in outputs.values())


def test_every_parameter_has_a_default_and_says_what_it_is_for() -> None:
    for parameter in template()["Parameters"].values():
        assert "Default" in parameter
        assert len(parameter["Description"]) > 20


@pytest.mark.parametrize("route", sorted(ROUTES))
def test_no_route_is_open(route: str) -> None:
    assert ROUTES[route]["AuthorizationType"] == {"Fn::If": ["UsesJwt", "JWT", "AWS_IAM"]}


def test_no_route_has_a_phone_in_its_path() -> None:
    paths = {route["RouteKey"] for route in ROUTES.values()}
    assert not [path for path in paths if "phone" in path or "subject" in path]
    assert len(paths) == len(ROUTES)


@pytest.mark.parametrize("name", ["SanitizeFunction", "ImportRegistryFunction"])
def test_a_queue_waits_longer_than_its_function_and_hands_over_one_message(name: str) -> None:
    (event,) = FUNCTIONS[name]["Events"].values()
    properties = event["Properties"]
    queue = plain(properties["Queue"]).removesuffix(".Arn")
    assert properties["BatchSize"] == 1
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert resources("AWS::SQS::Queue")[queue]["VisibilityTimeout"] > FUNCTIONS[name]["Timeout"]


def test_every_function_and_queue_has_its_alarms() -> None:
    alarms = resources("AWS::CloudWatch::Alarm", WATCHING)
    watched = {
        (alarm["MetricName"], plain(each["Value"]))
        for alarm in alarms.values()
        for each in alarm["Dimensions"]
    }
    for name in FUNCTIONS:
        assert {("Errors", name), ("Throttles", name)} <= watched
    for queue in ("sanitize", "import"):
        assert ("ApproximateNumberOfMessagesVisible", f"${{Stack}}-{queue}-dead") in watched
        assert ("ApproximateAgeOfOldestMessage", f"${{Stack}}-{queue}") in watched


def test_a_seal_that_does_not_come_is_noticed_and_so_is_silence() -> None:
    missed = resources("AWS::CloudWatch::Alarm", WATCHING)["SealMissed"]
    assert (missed["Namespace"], missed["MetricName"]) == (NAMESPACE, Counted.SEALS.value)
    assert missed["Dimensions"] == [{"Name": "service", "Value": {"Ref": "Stack"}}]
    assert (missed["Statistic"], missed["Threshold"]) == ("Sum", 1)
    assert missed["ComparisonOperator"] == "LessThanThreshold"
    assert missed["Period"] * missed["EvaluationPeriods"] == 300
    assert missed["TreatMissingData"] == "breaching"


def test_recalls_that_nobody_tells_or_acknowledges_are_noticed() -> None:
    alarms = resources("AWS::CloudWatch::Alarm", WATCHING)
    for name, counted in (
        ("NoticesFailed", Counted.NOTICES_FAILED),
        ("RecallsOverdue", Counted.RECALLS_OVERDUE),
    ):
        assert (alarms[name]["Namespace"], alarms[name]["MetricName"]) == (NAMESPACE, counted.value)
        assert (alarms[name]["Threshold"], alarms[name]["ComparisonOperator"]) == (0, "GreaterThanThreshold")
    # a look has ended before the next one begins, and each hour has one
    parameter = template()["Parameters"]["NoticeMinutes"]
    assert FUNCTIONS["NoticesFunction"]["Timeout"] < 60 * parameter["MinValue"]
    assert 60 * parameter["Default"] <= alarms["RecallsOverdue"]["Period"]


def test_the_log_is_sealed_every_minute_by_one_at_a_time() -> None:
    seal = FUNCTIONS["SealFunction"]
    (event,) = seal["Events"].values()
    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "rate(1 minute)")
    assert seal["Timeout"] < 60
    reserved = {"Fn::If": ["ReservesForSeal", 1, {"Ref": "AWS::NoValue"}]}
    assert seal["ReservedConcurrentExecutions"] == reserved
    assert template()["Parameters"]["ReserveForSeal"]["Default"] == "true"


def test_snapshots_are_brought_up_to_date_by_the_clock_and_never_tried_again_at_once() -> None:
    snapshots = FUNCTIONS["SnapshotsFunction"]
    (event,) = snapshots["Events"].values()
    assert (event["Type"], event["Properties"]["Schedule"]) == ("Schedule", "rate(15 minutes)")
    assert TURN == 900_000
    assert snapshots["Timeout"] * 1000 <= TURN
    assert snapshots["EventInvokeConfig"]["MaximumRetryAttempts"] == 0


def test_who_screens_lists_has_room_for_a_snapshot_of_ten_million_people() -> None:
    for name in ("Sanitize", "Deliver", "Recalls", "Notices", "Snapshots"):
        assert FUNCTIONS[f"{name}Function"]["EphemeralStorage"]["Size"] >= 2048
        assert FUNCTIONS[f"{name}Function"]["MemorySize"] >= 1769


def test_functions_behind_the_api_end_before_it_gives_up() -> None:
    called = {plain(each["IntegrationUri"]) for each in resources("AWS::ApiGatewayV2::Integration").values()}
    common = template()["Globals"]["Function"]["Timeout"]
    for target in called:
        assert FUNCTIONS[target.removesuffix(".Arn")].get("Timeout", common) < 30


def test_every_route_of_the_functions_is_one_of_the_api() -> None:
    paths = json.loads((ROOT / "functions/contact_sanitizer/handlers/openapi.json").read_text("utf-8"))[
        "paths"
    ]
    described = {f"{method.upper()} {path}" for path, each in paths.items() for method in each}
    routes = {route["RouteKey"] for route in ROUTES.values()}
    assert _unnamed(routes) == _unnamed(described)


def _unnamed(keys: set[str]) -> set[str]:
    return {re.sub(r"\{\w+\}", "{}", key) for key in keys}


def test_the_dashboard_is_json() -> None:
    (dashboard,) = resources("AWS::CloudWatch::Dashboard", WATCHING).values()
    body: dict[str, Any] = json.loads(re.sub(r"\$\{[\w:]+\}", "x", dashboard["DashboardBody"]["Fn::Sub"]))
    assert len(body["widgets"]) >= 4


def test_layers_hold_the_versions_of_the_lock() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    versions = {(package["name"], package["version"]) for package in lock["package"]}
    for layer in ("light", "engine"):
        text = (ROOT / "infra" / "layers" / f"{layer}.txt").read_text(encoding="utf-8")
        pinned = set(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
        assert pinned
        assert pinned <= versions
        assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", text)) >= len(pinned)


def test_layers_have_what_functions_import() -> None:
    """Everything but the command line's own libraries is in one of the layers."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {re.split(r"[=><\[]", each)[0] for each in project["project"]["dependencies"]} - {
        "click",
        "jinja2",
        "rich",
    }
    wanted |= {re.split(r"[=><\[]", each)[0] for each in project["project"]["optional-dependencies"]["aws"]}
    groups = project["dependency-groups"]
    given = {
        re.split(r"[=><\[]", each)[0] for layer in ("layer-light", "layer-engine") for each in groups[layer]
    }
    assert given == wanted


def test_the_layers_leave_room_for_our_own_code() -> None:
    spec = importlib.util.spec_from_file_location("layer", ROOT / "infra" / "layers" / "layer.py")
    assert spec is not None
    assert spec.loader is not None
    layer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(layer)
    assert sum(layer.SHARE.values()) <= 230
