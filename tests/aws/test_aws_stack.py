"""How a stack is found, and where a tenant's things lie in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial

import pytest
from botocore.stub import Stubber

from cloudworld import AUDIT, CATALOGUE, CLEAN, REGISTRY, UPLOADS, CloudWorld
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.aws.world import StackWorld
from contact_sanitizer.errors import HomeError, OutputError

NOW = datetime(2026, 1, 31, tzinfo=UTC)
OUTPUTS = {
    "UploadsBucket": UPLOADS,
    "CleanBucket": CLEAN,
    "AuditBucket": AUDIT,
    "RegistryTable": REGISTRY,
    "CatalogueTable": CATALOGUE,
    "DataKeyArn": "data",
    "KeyringKeyArn": "keyring",
    "SealKeyArn": "seal",
    "ApiUrl": "https://api.invalid",
}


def deployed(world: CloudWorld, outputs: dict[str, str]) -> AbstractContextManager[object]:
    """A stack of these outputs, as CloudFormation describes it."""
    listed = [{"OutputKey": name, "OutputValue": value} for name, value in outputs.items()]
    stack = {"StackName": "demo", "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE", "Outputs": listed}
    stubber = Stubber(world.clients.cloudformation)
    stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "demo"})
    return stubber


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises((HomeError, OutputError)) as caught:
        call()
    assert "13812345678" not in str(caught.value)
    return caught.value.code


def environment(world: CloudWorld) -> dict[str, str]:
    return {
        "CS_STACK": "demo",
        "CS_UPLOADS_BUCKET": UPLOADS,
        "CS_CLEAN_BUCKET": CLEAN,
        "CS_AUDIT_BUCKET": AUDIT,
        "CS_REGISTRY_TABLE": REGISTRY,
        "CS_CATALOGUE_TABLE": CATALOGUE,
        "CS_DATA_KEY": world.data_key,
        "CS_KEYRING_KEY": world.keyring_key,
        "CS_SEAL_KEY": world.seal_key,
    }


def in_stack(world: CloudWorld) -> StackWorld:
    return StackWorld(StackSettings.from_environment(environment(world)), world.clients, "default")


def test_a_stack_is_found_by_its_outputs(world: CloudWorld) -> None:
    with deployed(world, OUTPUTS):
        stack = StackSettings.from_outputs(world.clients.cloudformation, "demo")
    assert (stack.name, stack.uploads, stack.seal_key) == ("demo", UPLOADS, "seal")
    assert (stack.api_url, stack.import_queue) == ("https://api.invalid", "")
    assert stack.list_days == 0
    with deployed(world, OUTPUTS | {"ListDays": "30"}):
        stack = StackSettings.from_outputs(world.clients.cloudformation, "demo")
    kept = StackWorld(stack, world.clients, "default").people_kept_since(40 * 86_400_000)
    assert kept == 10 * 86_400_000


def test_a_foreign_stack_is_no_stack_of_ours(world: CloudWorld) -> None:
    with deployed(world, {"UploadsBucket": UPLOADS}):
        found = partial(StackSettings.from_outputs, world.clients.cloudformation, "demo")
        assert code_of(found) == "stack_unavailable"


@pytest.mark.parametrize("code", ["ValidationError", "AccessDenied", "InternalFailure", "ExpiredToken"])
def test_a_stack_that_is_missing_or_silent_is_told(world: CloudWorld, code: str) -> None:
    with Stubber(world.clients.cloudformation) as stubber:
        stubber.add_client_error("describe_stacks", code, "13812345678")
        found = partial(StackSettings.from_outputs, world.clients.cloudformation, "demo")
        assert code_of(found) == "stack_unavailable"


def test_a_function_knows_its_stack_from_its_environment(world: CloudWorld) -> None:
    stack = StackSettings.from_environment(environment(world))
    assert (stack.clean, stack.keyring_key) == (CLEAN, world.keyring_key)


@pytest.mark.parametrize("name", ["", "A", "a/b", "a#b", "..", "a" * 33, "t13812345678", "汉", "a\n"])
def test_no_tenant_has_a_name_that_could_be_a_phone_or_a_path(world: CloudWorld, name: str) -> None:
    assert code_of(lambda: StackWorld(StackSettings("demo"), world.clients, name)) == "tenant_invalid"


def test_a_tenant_is_made_whole_and_found_again(world: CloudWorld) -> None:
    stack = in_stack(world)
    before = stack.find_keyring()
    stack.make_tenant(NOW, lambda size: b"\x07" * size)
    assert before is None
    assert stack.find_keyring() is not None
    assert stack.registry.standing().change == 0
    assert stack.keys.load().tenant == "default"
    stack.close()


def test_a_stack_keeps_its_lists_in_its_own_bucket_alone(world: CloudWorld) -> None:
    stack = in_stack(world)
    assert stack.shelf(None).place == f"s3://{CLEAN}/lists/default/"
    assert stack.shelf(stack.shelf(None).place) == stack.shelf(None)
    assert code_of(lambda: stack.shelf("/tmp")) == "stack_unavailable"  # noqa: S108 - a place that is refused
