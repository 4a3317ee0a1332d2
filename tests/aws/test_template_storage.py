from __future__ import annotations

import re
from typing import Any

import pytest

from contact_sanitizer.aws.stack import StackSettings
from templates import ROOT, resources, statements, template

BUCKETS = resources("AWS::S3::Bucket")
OURS = sorted(set(BUCKETS) - {"AccessLogBucket"})
POLICIES = {
    policy["Bucket"]["Ref"]: list(statements(policy["PolicyDocument"]))
    for policy in resources("AWS::S3::BucketPolicy").values()
}
UNCONDITIONAL = {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}


def lifecycle(bucket: str) -> list[dict[str, Any]]:
    return list(BUCKETS[bucket]["LifecycleConfiguration"]["Rules"])


def test_there_are_the_four_buckets_of_the_design() -> None:
    assert sorted(BUCKETS) == ["AccessLogBucket", "AuditBucket", "CleanBucket", "UploadsBucket"]


@pytest.mark.parametrize("bucket", OURS)
def test_every_bucket_is_encrypted_under_the_data_key(bucket: str) -> None:
    (rule,) = BUCKETS[bucket]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": ["DataKey", "Arn"]},
    }


def test_access_logs_are_encrypted_as_their_delivery_demands() -> None:
    (rule,) = BUCKETS["AccessLogBucket"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_no_bucket_can_become_public_or_lose_versions(bucket: str) -> None:
    assert set(BUCKETS[bucket]["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(BUCKETS[bucket]["PublicAccessBlockConfiguration"]) == 4
    assert BUCKETS[bucket]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert BUCKETS[bucket]["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


@pytest.mark.parametrize("bucket", sorted(BUCKETS))
def test_every_bucket_refuses_plain_text_connections_from_everybody(bucket: str) -> None:
    (denial,) = [statement for statement in POLICIES[bucket] if statement["Sid"] == "TlsOnly"]
    assert (denial["Effect"], denial["Principal"], denial["Action"]) == ("Deny", "*", ["s3:*"])
    assert denial["Resource"] == [f"{bucket}.Arn", f"${{{bucket}.Arn}}/*"]
    assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("bucket", OURS)
def test_accesses_are_logged(bucket: str) -> None:
    assert BUCKETS[bucket]["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogBucket"}


def test_raw_uploads_are_gone_after_a_day_with_old_versions_and_half_sent_ones() -> None:
    rule = lifecycle("UploadsBucket")[0]
    assert rule["Status"] == "Enabled"
    assert "Prefix" not in rule
    assert rule["ExpirationInDays"] == 1
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def test_one_parameter_drives_the_audit_logs_lock_and_lifecycle() -> None:
    bucket = BUCKETS["AuditBucket"]
    assert bucket["ObjectLockEnabled"] is True
    assert bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {
        "Mode": {"Ref": "AuditLockMode"},
        "Days": {"Ref": "RetentionDays"},
    }
    assert lifecycle("AuditBucket")[0]["ExpirationInDays"] == {"Ref": "RetentionDays"}
    assert template()["Parameters"]["AuditLockMode"]["Default"] == "COMPLIANCE"


def kept_days() -> dict[str, tuple[str, int]]:
    """The README's table of retention: what, its parameter, its days."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^  \| ([^|]+) \| (?:`(\w+)`)? ?\| (\d+) \|$", text, re.MULTILINE)
    return {what.partition(",")[0].partition(":")[0]: (name, int(days)) for what, name, days in rows}


def test_the_readme_says_how_long_the_template_keeps_things() -> None:
    told, parameters = kept_days(), template()["Parameters"]
    for name, days in told.values():
        assert not name or parameters[name]["Default"] == days
    rules = {bucket: {rule["Id"]: rule for rule in lifecycle(bucket)} for bucket in BUCKETS}
    kept = {
        "raw uploads": ("", rules["UploadsBucket"]["raw-is-gone-after-a-day"]["ExpirationInDays"]),
        "parts of a list that is being made": ("", rules["CleanBucket"]["work"]["ExpirationInDays"]),
        "snapshots of the registry": ("", rules["CleanBucket"]["snapshots"]["ExpirationInDays"]),
        "clean lists": ("ListDays", rules["CleanBucket"]["lists"]["ExpirationInDays"]),
        "a keyring that was replaced": (
            "",
            rules["CleanBucket"]["keys"]["NoncurrentVersionExpiration"]["NoncurrentDays"],
        ),
        "audit log": ("RetentionDays", rules["AuditBucket"]["after-the-term"]["ExpirationInDays"]),
        "functions' logs": (
            "LogDays",
            next(iter(resources("AWS::Logs::LogGroup").values()))["RetentionInDays"],
        ),
        "access logs of the buckets": ("", rules["AccessLogBucket"]["after-a-year"]["ExpirationInDays"]),
    }
    assert {what: (name, {"Ref": name} if name else days) for what, (name, days) in told.items()} == kept
    assert rules["CleanBucket"]["deliveries"]["ExpirationInDays"] == {"Ref": "ListDays"}
    # what a newer snapshot replaces goes as soon as S3 can
    assert rules["CleanBucket"]["snapshots"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_functions_without_a_word_of_the_template_keep_things_as_long_as_it_says() -> None:
    parameters, settings = template()["Parameters"], StackSettings.from_environment({})
    assert settings.list_days == parameters["ListDays"]["Default"]
    assert settings.recall_hours == parameters["RecallHours"]["Default"]
    assert settings.max_upload_bytes == parameters["MaxUploadBytes"]["Default"]


def test_segments_of_the_audit_log_are_written_once_and_manifests_never_blindly() -> None:
    segments = next(each for each in POLICIES["AuditBucket"] if each["Sid"] == "SegmentsOnce")
    manifests = next(each for each in POLICIES["CleanBucket"] if each["Sid"] == "ManifestsOnce")
    parts = ("segments", "late", "checkpoints", "lines", "sealed", "tile")
    sealed = [f"${{AuditBucket.Arn}}/log/{part}/*" for part in parts]
    for denial, places in ((segments, sealed), (manifests, ["${CleanBucket.Arn}/lists/*/manifest.json"])):
        assert (denial["Effect"], denial["Principal"]) == ("Deny", "*")
        assert (denial["Action"], denial["Resource"]) == (["s3:PutObject"], places)
    assert segments["Condition"] == UNCONDITIONAL
    assert manifests["Condition"]["Null"] == {"s3:if-none-match": "true", "s3:if-match": "true"}


def test_nobody_replaces_a_keyring_blindly() -> None:
    denial = next(each for each in POLICIES["CleanBucket"] if "keys/*" in each["Resource"][0])
    assert denial["Condition"]["Null"] == {"s3:if-none-match": "true", "s3:if-match": "true"}


def test_bucket_policies_allow_nobody_but_the_delivery_of_access_logs() -> None:
    allowed = [each for policy in POLICIES.values() for each in policy if each["Effect"] == "Allow"]
    assert [each["Principal"] for each in allowed] == [{"Service": "logging.s3.amazonaws.com"}]


@pytest.mark.parametrize("table", ["RegistryTable", "CatalogueTable"])
def test_tables_can_be_restored_and_are_encrypted_and_protected(table: str) -> None:
    properties = resources("AWS::DynamoDB::Table")[table]
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["SSESpecification"]["KMSMasterKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert [key["AttributeName"] for key in properties["KeySchema"]] == ["pk", "sk"]


def test_only_the_catalogue_forgets_by_itself() -> None:
    tables = resources("AWS::DynamoDB::Table")
    assert tables["CatalogueTable"]["TimeToLiveSpecification"] == {
        "AttributeName": "expires_at",
        "Enabled": True,
    }
    assert "TimeToLiveSpecification" not in tables["RegistryTable"]


@pytest.mark.parametrize(
    "name",
    ["DataKey", "KeyringKey", "SealKey", "CleanBucket", "AuditBucket", "RegistryTable", "CatalogueTable"],
)
def test_what_cannot_be_made_again_outlives_the_stack(name: str) -> None:
    resource = template()["Resources"][name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_keys_rotate_where_keys_can() -> None:
    keys = resources("AWS::KMS::Key")
    assert {name for name, key in keys.items() if key.get("EnableKeyRotation")} == {"DataKey", "KeyringKey"}
    assert (keys["SealKey"]["KeySpec"], keys["SealKey"]["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


@pytest.mark.parametrize("queue", sorted(resources("AWS::SQS::Queue")))
def test_queues_are_encrypted_and_refuse_plain_text_connections(queue: str) -> None:
    queues = resources("AWS::SQS::Queue")
    assert queues[queue]["KmsMasterKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    denials = [
        statement["Resource"]
        for policy in resources("AWS::SQS::QueuePolicy").values()
        for statement in statements(policy["PolicyDocument"])
        if statement["Effect"] == "Deny" and {"Ref": queue} in policy["Queues"]
    ]
    assert [f"{queue}.Arn" in denied for denied in denials] == [True]


@pytest.mark.parametrize(
    ("queue", "dead"), [("SanitizeQueue", "SanitizeDeadLetters"), ("ImportQueue", "ImportDeadLetters")]
)
def test_what_cannot_be_done_goes_to_dead_letters_that_take_from_this_queue_alone(
    queue: str, dead: str
) -> None:
    queues = resources("AWS::SQS::Queue")
    redrive = queues[queue]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]}, "maxReceiveCount": 3}
    allowed = queues[dead]["RedriveAllowPolicy"]
    assert allowed["redrivePermission"] == "byQueue"
    name = queues[queue]["QueueName"]["Fn::Sub"]
    (source,) = allowed["sourceQueueArns"]
    assert source["Fn::Sub"].endswith(f":{name}")
    assert queues[dead]["MessageRetentionPeriod"] == 14 * 24 * 3600


def test_events_that_no_queue_takes_go_to_dead_letters_too() -> None:
    for rule in resources("AWS::Events::Rule").values():
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0].endswith("DeadLetters")
