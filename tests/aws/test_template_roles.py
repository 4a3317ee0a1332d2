"""The roles and policies of the templates are those of the table in `rolematrix`, and no more."""

from __future__ import annotations

import re
from typing import Any, Final

import pytest

from rolematrix import BEGIN, KEYS, LISTING, LISTS_ALL, MATRIX, OPEN_TOKENS, TRACES, VERSIONS
from rolematrix import PEOPLE as PEOPLE_MAY
from templates import PEOPLE, plain, resources, statements, template

FUNCTIONS: Final = sorted(MATRIX)
#: Rights to leaf through the registry: of whose histories changed, and of all histories.
CHANGED: Final = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#change"]}}
EVERYBODY: Final = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#p#*", "*#change"]}}


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
    prefixes = [
        statement["Condition"]["StringLike"]["s3:prefix"]
        for statement in grants(name)
        if "s3:ListBucket" in statement["Action"]
    ]
    assert [set(each) for each in prefixes] == ([LISTING[name]] if name in LISTING else [])
    versions = [
        set(statement["Condition"]["StringLike"]["s3:prefix"])
        for statement in grants(name)
        if "s3:ListBucketVersions" in statement["Action"]
    ]
    assert versions == ([VERSIONS[name]] if name in VERSIONS else [])


def test_functions_that_hand_out_links_or_copies_cannot_reach_the_keyring() -> None:
    for name in ("RequestUpload", "ShowUpload", "Lists", "Checkpoint", "Seal", "Snapshots"):
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


@pytest.mark.parametrize("key", ["DataKey", "KeyringKey", "SealKey"])
def test_a_key_names_the_functions_that_use_it(key: str) -> None:
    used = {
        name: {right.split()[0] for right in rights if right.endswith(f" {key}.Arn")}
        for name, rights in KEYS.items()
    }
    assert key_users(key) == {name: actions for name, actions in used.items() if actions}


def test_who_opens_tokens_changes_no_key_and_no_registry_and_leafs_through_no_registry() -> None:
    for name in OPEN_TOKENS:
        assert not granted(name) & {"s3:PutObject ${CleanBucket.Arn}/keys/*", *BEGIN}
        assert leafing(name) == [CHANGED] * (name in {"Deliver", "Recalls", "Notices"})


def leafing(name: str) -> list[dict[str, Any]]:
    """Under which conditions a function may query the registry."""
    querying = [each for each in grants(name) if "dynamodb:Query" in each["Action"]]
    return [each["Condition"] for each in querying if each["Resource"] == ["RegistryTable.Arn"]]


def test_who_makes_snapshots_reads_histories_alone_and_writes_nothing_but_snapshots() -> None:
    assert leafing("Snapshots") == [EVERYBODY]
    assert [name for name in FUNCTIONS if EVERYBODY in leafing(name)] == ["Snapshots"]
    looking = ("Get", "BatchGet", "Query", "List")
    writing = {
        right.split()[1]
        for right in granted("Snapshots")
        if right.startswith(("s3:", "dynamodb:")) and not right.partition(":")[2].startswith(looking)
    }
    assert writing == {"${CleanBucket.Arn}/snapshots/*"}
    assert not [right for right in granted("Snapshots") if "Audit" in right or "Catalogue" in right]


@pytest.mark.parametrize("name", ["Sanitize", "Deliver", "Recalls", "Notices"])
def test_who_screens_lists_asks_for_snapshots_and_makes_none(name: str) -> None:
    rights = {right for right in granted(name) if "/snapshots/" in right}
    assert rights == {
        "s3:GetObject ${CleanBucket.Arn}/snapshots/*",
        "s3:PutObject ${CleanBucket.Arn}/snapshots/*/wanted/*",
    }
    assert leafing(name) == [CHANGED]


def test_nobody_signs_who_does_not_seal() -> None:
    for statement in statements(resources("AWS::KMS::Key")["SealKey"]["KeyPolicy"]):
        assert "kms:Sign" not in statement["Action"] or statement["Sid"] == "WhoSeals"


def test_who_seals_writes_no_event_and_reaches_no_list() -> None:
    assert "s3:PutObject ${AuditBucket.Arn}/log/segments/*" not in granted("Seal")
    assert not [grant for grant in granted("Seal") if "CleanBucket" in grant or "UploadsBucket" in grant]


def test_the_table_names_every_policy_to_hand_out() -> None:
    assert set(PEOPLE_MAY) == set(resources("AWS::IAM::ManagedPolicy", PEOPLE))


@pytest.mark.parametrize("name", sorted(PEOPLE_MAY))
def test_a_person_may_do_what_the_table_says_and_nothing_else(name: str) -> None:
    handed_out = {pair for statement in statements_of(name) for pair in _pairs(statement)}
    assert handed_out == PEOPLE_MAY[name]


@pytest.mark.parametrize("name", sorted(PEOPLE_MAY))
def test_a_person_lists_prefixes_alone_but_security_the_audit_log(name: str) -> None:
    listing = [each for each in statements_of(name) if "s3:ListBucket" in each["Action"]]
    bound = [each["Condition"]["StringLike"]["s3:prefix"] for each in listing if "Condition" in each]
    free = [each["Resource"] for each in listing if "Condition" not in each]
    assert [set(map(plain, prefixes)) for prefixes in bound] == ([LISTING[name]] if name in LISTING else [])
    assert free == ([[LISTS_ALL[name]]] if name in LISTS_ALL else [])


def test_senders_read_no_bucket_and_call_nothing_of_others() -> None:
    assert {right.split()[0] for right in PEOPLE_MAY["Sender"]} == {"execute-api:Invoke"}


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
    # Security compares the names of the parts with those in CloudTrail.
    more = ["cloudformation:ListStackResources"] if name == "Security" else []
    assert sorted([grant["Action"]] if isinstance(grant["Action"], str) else grant["Action"]) == [
        "cloudformation:DescribeStacks",
        *more,
    ]
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


def statements_of(name: str) -> list[dict[str, Any]]:
    """The statements of a policy to hand out, their resources as the table names them."""
    document = resources("AWS::IAM::ManagedPolicy", PEOPLE)[name]["PolicyDocument"]
    return [
        {**each, "Resource": [_named(resource) for resource in each["Resource"]]}
        for each in statements(document)
    ]


def _named(resource: str) -> str:
    """A resource of a nested template, whose parameters are names and ARNs of the outer one's resources."""
    resource = re.sub(r"arn:s3:::\$\{(\w+)\}$", r"\1.Arn", resource)
    resource = re.sub(r"arn:s3:::\$\{(\w+)\}/", r"${\1.Arn}/", resource)
    resource = re.sub(r"arn:dynamodb:.*:table/\$\{(\w+)\}$", r"\1.Arn", resource)
    resource = re.sub(r"arn:execute-api:.*/\$default/", "", resource)
    resource = re.sub(r"arn:cloudformation:.*?:(?=stack/)", "", resource)
    return f"{resource}.Arn" if resource in {"DataKey", "KeyringKey", "SealKey"} else resource


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
