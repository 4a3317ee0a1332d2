"""A tenant's things in a stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contact_sanitizer.access import STACK, Directory
from contact_sanitizer.aws.auditlog import KmsSigner, StackLog
from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.objects import S3Objects, audit_fault
from contact_sanitizer.aws.records import DynamoRecords
from contact_sanitizer.aws.stack import StackSettings
from contact_sanitizer.errors import HomeError, KeyringError
from contact_sanitizer.policyshelf import PolicyShelf
from contact_sanitizer.uploading import Uploads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from contact_sanitizer.audit.beside import Kept
    from contact_sanitizer.aws.deadletters import SqsDeadLetters
    from contact_sanitizer.aws.keystore import KmsKeyStore
    from contact_sanitizer.aws.listshelf import S3ListShelf
    from contact_sanitizer.aws.registry import DynamoRegistry
    from contact_sanitizer.aws.snapshots import SnapshotPlace
    from contact_sanitizer.ports import DeliveryShelf
    from contact_sanitizer.protection.keyring import Keyring
    from contact_sanitizer.reconciling.trail import OpenFile

_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_\-]{0,31}\Z")
_LONG_NUMBER: Final = re.compile(r"\d{7}")
_DAY: Final = 86_400_000


@dataclass
class StackWorld:
    """Implements `ports.World` on a stack; everything is opened when it is first used.

    What needs the engine is imported only then: functions that hand out forms and states start without it.
    """

    settings: StackSettings
    clients: Clients
    tenant: str

    def __post_init__(self) -> None:
        if not _TENANT.match(self.tenant) or _LONG_NUMBER.search(self.tenant):
            raise HomeError(
                "tenant_invalid",
                "a tenant's name is up to 32 of a-z, 0-9, '-' and '_', without a long number",
            )

    @cached_property
    def audit(self) -> StackLog:
        """The stack's audit log, one for all tenants."""
        return audit_of(self.settings, self.clients)

    @cached_property
    def records(self) -> DynamoRecords:
        """The tenant's catalogue."""
        return DynamoRecords(self.clients.dynamodb, self.settings.catalogue, self.tenant)

    @cached_property
    def keys(self) -> KmsKeyStore:
        """The tenant's keys."""
        from contact_sanitizer.aws.keystore import KmsKeyStore, Wrapper  # noqa: PLC0415 - needs cryptography

        wrapper = Wrapper(self.clients.kms, self.settings.keyring_key, self.tenant)
        place = f"keys/{self.tenant}/keyring.json"
        return KmsKeyStore(self.clients.s3, self.settings.clean, place, self.settings.data_key, wrapper)

    @cached_property
    def registry(self) -> DynamoRegistry:
        """The tenant's consents and suppressions."""
        from contact_sanitizer.aws.registry import DynamoRegistry  # noqa: PLC0415 - needs the engine

        return DynamoRegistry(self.clients.dynamodb, self.settings.registry, self.tenant, self.snapshots)

    @property
    def snapshots(self) -> SnapshotPlace:
        """Where the tenant's snapshots of the registry are kept."""
        from contact_sanitizer.aws.snapshots import SnapshotPlace  # noqa: PLC0415 - needs the engine

        place = f"snapshots/{self.tenant}/"
        return SnapshotPlace(self.clients.s3, self.settings.clean, place, self.settings.data_key)

    def shelf(self, place: str | None) -> S3ListShelf:
        """The tenant's lists; a stack has one place for them."""
        from contact_sanitizer.aws.listshelf import S3ListShelf  # noqa: PLC0415 - needs the engine

        prefix = f"lists/{self.tenant}/"
        shelf = S3ListShelf(self.clients.s3, self.settings.clean, prefix, self.settings.data_key)
        if place not in {None, shelf.place}:
            raise HomeError("stack_unavailable", "the list is not in this stack")
        return shelf

    def deliveries(self, out: str | None) -> DeliveryShelf:
        """Deliveries into the bucket, for links; with `out` to that file of this machine as well."""
        from contact_sanitizer.aws.deliveries import S3Deliveries  # noqa: PLC0415 - needs the engine

        store = self.clients.s3, self.settings.clean, self.delivery_prefix, self.settings.data_key
        return S3Deliveries(*store, Path(out).absolute() if out else None)

    def kept_lists(self, elsewhere: Iterable[tuple[str, str]]) -> Iterator[Kept]:  # noqa: ARG002 - nobody chooses
        """All tenants' lists: they stand in one bucket."""
        from contact_sanitizer.aws.kept import S3Kept  # noqa: PLC0415 - the command line's

        return S3Kept(self.clients.s3, self.settings.clean).lists()

    def kept_deliveries(self) -> Iterator[Kept]:
        """All tenants' deliveries."""
        from contact_sanitizer.aws.kept import S3Kept  # noqa: PLC0415 - the command line's

        return S3Kept(self.clients.s3, self.settings.clean).deliveries()

    def people_kept_since(self, now: int) -> int:
        """Since the lifecycle's term; where the stack does not say what that is nothing has to be there."""
        return now - self.settings.list_days * _DAY

    @property
    def account(self) -> str:
        """The stack's account."""
        return self.settings.data_key.split(":")[4] if self.settings.data_key.count(":") > 4 else ""

    def function_roles(self) -> frozenset[str]:
        """The stack's own functions, as they would stand in audit events."""
        from contact_sanitizer.aws.trailfiles import function_roles  # noqa: PLC0415 - the command line's

        return function_roles(self.clients.cloudformation, self.settings.name, self.account)

    def trail_files(self, bucket: str, prefix: str) -> Iterator[OpenFile]:
        """The files of a trail that lies in a bucket."""
        from contact_sanitizer.aws.trailfiles import S3Trail  # noqa: PLC0415 - the command line's

        return S3Trail(self.clients.s3, bucket, prefix).files()

    @property
    def delivery_prefix(self) -> str:
        """Where deliveries lie in the bucket for clean lists."""
        return f"deliveries/{self.tenant}/"

    @cached_property
    def policies(self) -> PolicyShelf:
        """The tenant's policies."""
        return PolicyShelf(self.objects(f"policies/{self.tenant}/"))

    @cached_property
    def uploads(self) -> Uploads:
        """What became of the tenant's uploads."""
        return Uploads(self.records)

    def objects(self, prefix: str) -> S3Objects:
        """Small objects under a prefix of the bucket for clean lists."""
        return S3Objects(self.clients.s3, self.settings.clean, prefix, self.settings.data_key)

    @cached_property
    def directory(self) -> Directory:
        """Who may call what in this stack."""
        return directory_of(self.settings, self.clients)

    def dead_letters(self, *, imports: bool) -> SqsDeadLetters:
        """What was given up: uploads, or files for the registry."""
        from contact_sanitizer.aws.deadletters import SqsDeadLetters  # noqa: PLC0415 - the command line's

        known = self.settings
        queue, letters = known.sanitize_queue, known.sanitize_dead_letters
        if imports:
            queue, letters = known.import_queue, known.import_dead_letters
        return SqsDeadLetters(self.clients.sqs, letters, queue)

    def find_keyring(self) -> Keyring | None:
        """The tenant's keyring; None where it was never made. `KeyringError` where that cannot be told."""
        try:
            return self.keys.load()
        except KeyringError as error:
            if error.code == "keyring_missing":
                return None
            raise

    def make_tenant(self, now: datetime, randomness: Callable[[int], bytes]) -> None:
        """Give the tenant its registry and then its keys, by which it counts as made; what is there stays."""
        self.registry.create()
        try:
            self.keys.create(self.tenant, now, randomness)
        except KeyringError as error:
            # Somebody was faster: then theirs are the keys.
            if error.code != "keyring_unwritable" or self.find_keyring() is None:
                raise

    def close(self) -> None:
        """Let go of the registry's readers; connections stay, and the next call uses them again."""
        if "registry" in self.__dict__:
            self.registry.close()
            del self.__dict__["registry"]


def tenants_of(settings: StackSettings, clients: Clients) -> list[str]:
    """The tenants that were made: each has a keyring; by name."""
    keyrings = S3Objects(clients.s3, settings.clean, "keys/", settings.data_key)
    named = (key.partition("/")[0] for key in keyrings.keys() if key.endswith("/keyring.json"))  # noqa: SIM118 - a port, no mapping
    return [name for name in named if _TENANT.match(name)]


def directory_of(settings: StackSettings, clients: Clients) -> Directory:
    """Who may call what in this stack."""
    return Directory(DynamoRecords(clients.dynamodb, settings.catalogue, STACK), settings.default_tenant)


def audit_of(settings: StackSettings, clients: Clients) -> StackLog:
    """The stack's audit log."""
    objects = S3Objects(clients.s3, settings.audit, "log/", settings.data_key, audit_fault)
    # An origin names a log for good, as C2SP tlog-checkpoint asks.
    origin = f"contact-sanitizer/{settings.name}"
    following = [arn.strip() for arn in settings.next_seal_keys.split(",") if arn.strip()]
    return StackLog(
        objects,
        lambda: KmsSigner(clients.kms, settings.seal_key, origin),
        lambda: [KmsSigner(clients.kms, arn, origin) for arn in following],
    )
