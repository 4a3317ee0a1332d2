"""What each function and each person may do, in one table; whoever changes a role changes it here too."""

from __future__ import annotations

from typing import Any, Final

import pytest

from templates import PEOPLE, plain, resources, statements, template

APPEND: Final = {
    "s3:GetObject ${AuditBucket.Arn}/log/segments/*",
    "s3:PutObject ${AuditBucket.Arn}/log/segments/*",
}
TRACES: Final = {"xray:PutTelemetryRecords *", "xray:PutTraceSegments *"}
READ: Final = {"kms:Decrypt DataKey.Arn", "kms:DescribeKey DataKey.Arn"}
WRITE: Final = READ | {"kms:GenerateDataKey DataKey.Arn"}
STORE: Final = WRITE | {"kms:Encrypt DataKey.Arn"}
LOOK: Final = {"dynamodb:GetItem CatalogueTable.Arn"}
NOTE: Final = LOOK | {"dynamodb:PutItem CatalogueTable.Arn"}
POLICIES: Final = {"s3:GetObject ${CleanBucket.Arn}/policies/*"}
FIND: Final = {"s3:ListBucket CleanBucket.Arn"}
KEYRING: Final = {"s3:GetObject ${CleanBucket.Arn}/keys/*", "s3:PutObject ${CleanBucket.Arn}/keys/*"}
JUDGE: Final = {f"dynamodb:{action} RegistryTable.Arn" for action in ("BatchGetItem", "GetItem", "Query")}
BEGIN: Final = {"dynamodb:PutItem RegistryTable.Arn"}
RECORD: Final = JUDGE | BEGIN
ASK: Final = {f"dynamodb:{action} RegistryTable.Arn" for action in ("BatchGetItem", "GetItem")}
SEND: Final = APPEND | STORE | NOTE | FIND | ASK | {"s3:GetObject ${CleanBucket.Arn}/keys/*"}
SPEND: Final = {"dynamodb:UpdateItem CatalogueTable.Arn"}
DELIVERED: Final = {
    f"s3:{action} ${{CleanBucket.Arn}}/deliveries/*/people" for action in ("GetObject", "GetObjectVersion")
}
NOTED: Final = "s3:PutObject ${AuditBucket.Arn}/log/late/*"
SEALED: Final = ("checkpoint", "checkpoints/*", "looked-back", "public-key", "sealed/*", "tile/*")


def _queue(name: str) -> set[str]:
    return {
        f"sqs:{action} {name}.Arn" for action in ("DeleteMessage", "GetQueueAttributes", "ReceiveMessage")
    }


def _raw(area: str) -> set[str]:
    actions = ("DeleteObjectVersion", "GetObject", "GetObjectVersion")
    return {f"s3:{action} ${{UploadsBucket.Arn}}/{area}/*" for action in actions}


MATRIX: Final[dict[str, set[str]]] = {
    "RequestUpload": APPEND
    | STORE
    | NOTE
    | POLICIES
    | FIND
    | {"s3:PutObject ${UploadsBucket.Arn}/uploads/*"},
    "ShowUpload": APPEND | WRITE | LOOK | {"s3:GetObject ${CleanBucket.Arn}/lists/*/rejects.csv"},
    "Lists": APPEND | WRITE | LOOK | {"dynamodb:Query CatalogueTable.Arn"},
    "Sanitize": APPEND
    | STORE
    | NOTE
    | POLICIES
    | FIND
    | KEYRING
    | JUDGE
    | BEGIN
    | _queue("SanitizeQueue")
    | _raw("uploads")
    | {
        "sqs:SendMessage SanitizeQueue.Arn",
        NOTED,
        "s3:DeleteObject ${CleanBucket.Arn}/work/*",
        "s3:GetObject ${CleanBucket.Arn}/work/*",
        "s3:PutObject ${CleanBucket.Arn}/work/*",
        "s3:AbortMultipartUpload ${CleanBucket.Arn}/lists/*",
        "s3:PutObject ${CleanBucket.Arn}/lists/*",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json",
    },
    "ImportRegistry": APPEND
    | STORE
    | NOTE
    | POLICIES
    | FIND
    | KEYRING
    | RECORD
    | {NOTED}
    | _queue("ImportQueue")
    | _raw("registry"),
    "RecordChoice": APPEND | STORE | LOOK | FIND | KEYRING | RECORD,
    "Deliver": SEND
    | SPEND
    | {
        "s3:GetObject ${CleanBucket.Arn}/lists/*/clean.*",
        "s3:GetObjectVersion ${CleanBucket.Arn}/lists/*/clean.*",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json",
        "s3:GetObjectVersion ${CleanBucket.Arn}/lists/*/manifest.json",
        "s3:GetObject ${CleanBucket.Arn}/deliveries/*/content",
        "s3:PutObject ${CleanBucket.Arn}/deliveries/*/content",
        "s3:GetObject ${CleanBucket.Arn}/deliveries/*/people",
        "s3:PutObject ${CleanBucket.Arn}/deliveries/*/people",
    },
    "Recalls": SEND | DELIVERED | {"dynamodb:Query CatalogueTable.Arn"},
    "Notices": SEND
    | DELIVERED
    | {
        "dynamodb:Query CatalogueTable.Arn",
        "dynamodb:Query RegistryTable.Arn",
        "events:PutEvents NoticeBus.Arn",
    },
    "Redeem": SEND | SPEND | DELIVERED | {"dynamodb:Query CatalogueTable.Arn"},
    "Trace": APPEND
    | WRITE
    | LOOK
    | FIND
    | ASK
    | DELIVERED
    | {
        "dynamodb:Query CatalogueTable.Arn",
        "s3:GetObject ${CleanBucket.Arn}/keys/*",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/decisions.parquet",
        "s3:GetObjectVersion ${CleanBucket.Arn}/lists/*/decisions.parquet",
        "s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json",
        "s3:GetObjectVersion ${CleanBucket.Arn}/lists/*/manifest.json",
    },
    "Checkpoint": APPEND
    | WRITE
    | LOOK
    | {"s3:GetObject ${AuditBucket.Arn}/log/checkpoint", "s3:ListBucket AuditBucket.Arn"},
    "Seal": WRITE
    | {"s3:GetObject ${AuditBucket.Arn}/log/*", "s3:ListBucket AuditBucket.Arn"}
    | {f"s3:PutObject ${{AuditBucket.Arn}}/log/{place}" for place in SEALED},
}
TOKENISE: Final = {"Sanitize", "ImportRegistry", "RecordChoice"}
OPEN_TOKENS: Final = {"Deliver", "Recalls", "Notices", "Redeem", "Trace"}
FUNCTIONS: Final = sorted(MATRIX)


def grants(role: str) -> list[dict[str, Any]]:
    (policy,) = resources("AWS::IAM::Role")[f"{role}Role"]["Policies"]
    return list(statements(policy["PolicyDocument"]))


def granted(role: str) -> set[str]:
    return {pair for statement in grants(role) for pair in _pairs(statement)}


def key_users(key: str) -> dict[str, set[str]]:
    """Which roles a key's own policy lets do what."""
    users: dict[str, set[str]] = {}
    for statement in statements(resources("AWS::KMS::Key")[key]["KeyPolicy"]):
        named = statement["Principal"].get("AWS", [])
        for principal in named if isinstance(named, list) else [named]:
            if "Fn::GetAtt" in principal:
                users.setdefault(plain(principal).removesuffix("Role.Arn"), set()).update(statement["Action"])
    return users


def test_the_table_names_every_function() -> None:
    functions = {name.removesuffix("Function") for name in resources("AWS::Serverless::Function")}
    assert functions == set(MATRIX)
    assert {f"{name}Role" for name in MATRIX} == set(resources("AWS::IAM::Role"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_may_do_what_the_table_says_and_nothing_else(name: str) -> None:
    log = {f"logs:CreateLogStream {name}Log.Arn", f"logs:PutLogEvents {name}Log.Arn"}
    assert granted(name) == MATRIX[name] | TRACES | log


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_a_role_of_its_own_that_only_lambda_takes(name: str) -> None:
    function = resources("AWS::Serverless::Function")[f"{name}Function"]
    assert plain(function["Role"]) == f"{name}Role.Arn"
    assert not {"Policies", "ManagedPolicyArns"} & set(function)
    role = resources("AWS::IAM::Role")[f"{name}Role"]
    assert "ManagedPolicyArns" not in role
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_action_is_a_wildcard_and_no_resource_but_that_of_traces(name: str) -> None:
    for statement in grants(name):
        assert not [action for action in statement["Action"] if "*" in action]
        assert "*" not in statement["Resource"] or statement["Sid"] == "Trace"
        assert not [
            resource for resource in statement["Resource"] if resource.startswith("*") and resource != "*"
        ]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_data_key_is_used_through_services_only(name: str) -> None:
    for statement in grants(name):
        if any(action.startswith("kms:") for action in statement["Action"]):
            (services,) = statement["Condition"]["StringEquals"].values()
            assert list(statement["Condition"]["StringEquals"]) == ["kms:ViaService"]
            assert all(plain(service).endswith(".${AWS::Region}.amazonaws.com") for service in services)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_who_looks_for_an_object_may_list_its_prefix_alone(name: str) -> None:
    for statement in grants(name):
        if "s3:ListBucket" in statement["Action"]:
            prefixes = statement["Condition"]["StringLike"]["s3:prefix"]
            clean = {"keys/*", "policies/*", "work/*", "lists/*/manifest.json"}
            clean |= {"lists/*/decisions.parquet", "deliveries/*/people"}
            audit = {"Checkpoint": {"log/checkpoint"}, "Seal": {"log/*"}}
            assert set(prefixes) <= audit.get(name, clean)


def test_functions_that_hand_out_links_cannot_reach_the_keyring() -> None:
    for name in ("RequestUpload", "ShowUpload", "Lists", "Checkpoint", "Seal"):
        assert not [grant for grant in granted(name) if "keys/" in grant or "KeyringKey" in grant]
        assert name not in key_users("KeyringKey")


def test_sanitize_cannot_read_list_or_delete_clean_lists() -> None:
    reading = {grant for grant in granted("Sanitize") if grant.startswith("s3:Get") and "/lists/" in grant}
    assert reading == {"s3:GetObject ${CleanBucket.Arn}/lists/*/manifest.json"}
    assert not [grant for grant in granted("Sanitize") if "Delete" in grant and "/lists/" in grant]


def test_sanitize_may_begin_a_registry_and_write_nothing_else_into_it() -> None:
    writing = [each for each in grants("Sanitize") if "dynamodb:PutItem RegistryTable.Arn" in _pairs(each)]
    assert [each["Condition"] for each in writing] == [
        {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#head"]}}
    ]


def test_only_functions_that_tokenise_open_the_keyring() -> None:
    making = {name: {"kms:Decrypt", "kms:Encrypt"} for name in TOKENISE}
    assert key_users("KeyringKey") == making | {name: {"kms:Decrypt"} for name in OPEN_TOKENS}


def test_who_opens_tokens_changes_no_key_and_no_registry_and_leafs_through_no_registry() -> None:
    for name in OPEN_TOKENS:
        assert not granted(name) & {"s3:PutObject ${CleanBucket.Arn}/keys/*", *BEGIN}
        leafing = [each for each in grants(name) if "dynamodb:Query" in each["Action"]]
        leafing = [each for each in leafing if each["Resource"] == ["RegistryTable.Arn"]]
        changes = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#change"]}}
        assert [each["Condition"] for each in leafing] == [changes] * (name == "Notices")


def test_nobody_signs_who_does_not_seal() -> None:
    assert key_users("SealKey") == {"Seal": {"kms:Sign", "kms:GetPublicKey"}}
    for statement in statements(resources("AWS::KMS::Key")["SealKey"]["KeyPolicy"]):
        assert "kms:Sign" not in statement["Action"] or statement["Sid"] == "WhoSeals"


def test_who_seals_writes_no_event_and_reaches_no_list() -> None:
    assert "s3:PutObject ${AuditBucket.Arn}/log/segments/*" not in granted("Seal")
    assert not [grant for grant in granted("Seal") if "CleanBucket" in grant or "UploadsBucket" in grant]


def test_senders_read_no_bucket_and_call_nothing_of_others() -> None:
    assert {each["Action"] for each in _handed_out("Sender")} == {"execute-api:Invoke"}
    routes = {
        one.rpartition("$default/")[2].rstrip("'}")
        for each in _handed_out("Sender")
        for one in each["Resource"]
    }
    assert routes == {
        "POST/lists/*/deliveries",
        "GET/deliveries/*/recalls",
        "POST/deliveries/*/recalls/ack",
        "POST/tokens/redeem",
        "POST/optouts",
        "GET/lists",
        "GET/lists/*",
    }


@pytest.mark.parametrize("key", ["KeyringKey", "SealKey"])
def test_administrators_manage_these_keys_and_do_not_use_them(key: str) -> None:
    for statement in statements(resources("AWS::KMS::Key")[key]["KeyPolicy"]):
        if "Fn::Sub" in str(statement["Principal"]) and "Condition" not in statement:
            using = {
                "kms:*",
                "kms:Decrypt",
                "kms:Encrypt",
                "kms:GenerateDataKey",
                "kms:ReEncryptFrom",
                "kms:Sign",
                "kms:CreateGrant",
            }
            assert not using & set(statement["Action"])


def test_people_who_open_the_keyring_carry_the_operators_tag() -> None:
    found = [
        statement["Condition"]
        for statement in statements(resources("AWS::KMS::Key")["KeyringKey"]["KeyPolicy"])
        if statement["Sid"] == "Operators"
    ]
    assert found == [{"StringEquals": {"aws:PrincipalTag/contact-sanitizer": "operator"}}]


@pytest.mark.parametrize("name", sorted(resources("AWS::IAM::ManagedPolicy", PEOPLE)))
def test_policies_to_hand_out_hold_no_wildcard_action_or_resource(name: str) -> None:
    for statement in statements({"Statement": _handed_out(name)}):
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        assert "*" not in statement["Resource"]


@pytest.mark.parametrize("name", ["Uploader", "Sender", "Security"])
def test_only_operators_reach_keyrings(name: str) -> None:
    assert "KeyringKey" not in str(_handed_out(name))
    assert "/keys/" not in str(_handed_out(name))


@pytest.mark.parametrize("name", ["Sender", "Security", "Operator"])
def test_only_uploaders_reach_raw_lists_and_they_only_put_them(name: str) -> None:
    assert "/uploads/${Tenant}" not in str(_handed_out(name))
    putting = [each for each in _handed_out("Uploader") if "/uploads/${Tenant}/*" in str(each["Resource"])]
    assert [each["Action"] for each in putting] == [["s3:PutObject", "s3:AbortMultipartUpload"]]


@pytest.mark.parametrize("name", ["Uploader", "Operator", "Security"])
def test_who_uses_the_command_line_reads_the_outputs_of_this_stack_alone(name: str) -> None:
    (grant,) = [each for each in _handed_out(name) if "cloudformation:" in str(each["Action"])]
    assert grant["Action"] == "cloudformation:DescribeStacks"
    assert [one.rpartition(":")[2].rstrip("'}") for one in grant["Resource"]] == ["stack/${Stack}/*"]


def test_security_alone_asks_for_traces() -> None:
    may = [
        name
        for name in ("Uploader", "Sender", "Security", "Operator")
        if "/POST/trace" in str(_handed_out(name))
    ]
    assert may == ["Security"]


def test_every_policy_to_hand_out_is_an_output() -> None:
    outputs = template()["Outputs"]
    for name in resources("AWS::IAM::ManagedPolicy", PEOPLE):
        assert outputs[f"{name}PolicyArn"]["Value"] == {"Fn::GetAtt": ["People", f"Outputs.{name}PolicyArn"]}


def _handed_out(name: str) -> list[dict[str, Any]]:
    document = resources("AWS::IAM::ManagedPolicy", PEOPLE)[name]["PolicyDocument"]
    return [
        {
            **each,
            "Resource": [
                str(one)
                for one in (each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]])
            ],
        }
        for each in document["Statement"]
    ]


def _pairs(statement: dict[str, Any]) -> set[str]:
    return {f"{action} {resource}" for action in statement["Action"] for resource in statement["Resource"]}
