"""The composition root: open a home or a stack, get the use cases.

Everything that a use case needs from the world is put together here and nowhere else: where things lie,
what time it is, where randomness comes from, who is at work.
"""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from contact_sanitizer.audit.events import Action, Event, Outcome
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.copies import system_clock
from contact_sanitizer.delivery.desk import DeliveryDesk
from contact_sanitizer.delivery.senders import SenderDesk
from contact_sanitizer.embedded.world import HomeWorld
from contact_sanitizer.erasing.desk import EraseDesk
from contact_sanitizer.errors import AuditError, HomeError, RequestError
from contact_sanitizer.intake.raw import ListSource
from contact_sanitizer.job import Job, Manner, Meter, Tools, no_meter
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.making import ListOffice, conclude_list, make_list
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.ports import RevisableShelf, TenantRegistry, World
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.registering.desk import Desk
from contact_sanitizer.registering.fileimports import FileImports, OnRow
from contact_sanitizer.registering.imports import Occasion

if TYPE_CHECKING:
    from contact_sanitizer.aws.world import StackWorld
    from contact_sanitizer.policy import Policy
    from contact_sanitizer.tracing.service import TraceService
    from contact_sanitizer.uploading import UploadService


def login_name() -> str:
    """Who is at work, as far as the system says; only what an audit event may hold."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-]{0,31}", name) or re.search(r"\d{11}", name):
        return "unknown"
    # Staff numbers are no phones, but an event holds no digits in a long row.
    return re.sub(r"\d{6}(?=\d)", r"\g<0>-", name)


@dataclass
class Workspace:
    """One tenant's world, opened for one command or one request, and the use cases in it.

    `call`: the id of all events of that request; without one it makes its own. `occasion`: what imports
    follow from, where that may be told again.
    """

    world: World
    tenant: str
    clock: Callable[[], int] = system_clock
    randomness: Callable[[int], bytes] = os.urandom
    principal: str = field(default_factory=login_name)
    call: ListId | None = None
    occasion: Occasion | None = None

    @classmethod
    def open(cls, root: Path, tenant: str = "default", **circumstances: Any) -> Workspace:
        """The workspace of a tenant in the home at `root`; both are made where they are missing."""
        world = HomeWorld.open(root, tenant)
        workspace = cls(world, tenant, **circumstances)
        if not world.has_tenant:
            world.make_audit(workspace._moment(), workspace.randomness)
            workspace.record(Action.HOME_CREATED)
            world.make_tenant(workspace._moment(), workspace.randomness)
        return workspace

    @classmethod
    def in_stack(cls, world: StackWorld, *, make: bool, **circumstances: Any) -> Workspace:
        """The workspace of a tenant in a stack; with `make` its keys are made where they are missing."""
        workspace = cls(world, world.tenant, **circumstances)
        if make:
            # Each opening of a keyring asks KMS for all of its keys: what was found is what is used.
            if keyring := world.find_keyring():
                workspace.keyring = keyring
            else:
                workspace.record(Action.HOME_CREATED)
                world.make_tenant(workspace._moment(), workspace.randomness)
        return workspace

    @classmethod
    def open_stack(cls, name: str, tenant: str, *, make: bool = False) -> Workspace:
        """The workspace of a tenant in the stack called `name`, in the name of whoever AWS says is at work.

        `HomeError` (`stack_unavailable`) where the stack cannot be read or the AWS extra is not installed.
        """
        with _with_the_extra():
            from contact_sanitizer.aws.opening import open_stack  # noqa: PLC0415 - homes need no boto3
        world, principal = open_stack(name, tenant)
        return cls.in_stack(world, make=make, principal=principal)

    @property
    def stack(self) -> StackWorld:
        """What only a stack has; `RequestError` at home."""
        if isinstance(self.world, HomeWorld):
            raise RequestError("request_invalid", "this is done in a stack: say --stack NAME")
        return cast("StackWorld", self.world)

    @cached_property
    def correlation(self) -> ListId:
        """One id for all events of this command."""
        return self.call or self.new_id()

    @cached_property
    def keyring(self) -> Keyring:
        """The tenant's keys."""
        return self.world.keys.load()

    @property
    def registry(self) -> TenantRegistry:
        """The tenant's consents and suppressions."""
        return self.world.registry

    @property
    def catalogue(self) -> Catalogue:
        """Which lists were made."""
        return Catalogue(self.world.records)

    def shelf_of(self, entry: ListEntry) -> RevisableShelf:
        """Where a list that was entered in the catalogue is."""
        return self.world.shelf(entry.place)

    def new_id(self) -> ListId:
        """A fresh sortable id."""
        return sortable_id(self.clock(), self.randomness(10))

    def record(
        self,
        action: Action,
        *,
        outcome: Outcome = Outcome.BEGUN,
        at: int | None = None,
        uid: str = "",
        correlation: str = "",
        **particulars: Any,
    ) -> None:
        """Write one audit event; what it announces may happen once this has returned.

        `at`, `uid` and `correlation` where the same effect may be announced twice, and has to be the same
        event then; else now, a new id, and the id of this command.
        """
        when = self.clock() if at is None else at
        common = (when, self.principal, self.tenant, correlation or self.correlation, uid or self.new_id())
        self.world.audit.append(Event(action, outcome, *common, **particulars))

    def desk(self, region: str, actor: str | None = None) -> Desk:
        """The desk for acts on one person, in the name of `actor` or of whoever is logged in."""
        now = self.clock() // 1000
        return Desk(self.registry, self.keyring, self.record, actor or self.principal, now, region)

    @property
    def senders(self) -> SenderDesk:
        """Who may fetch."""
        return SenderDesk(self.world.records, self.record)

    def delivery_desk(self, out: str | None = None, meter: Meter = no_meter) -> DeliveryDesk:
        """The desk for deliveries (to `out`, or to the world's own place), redemptions and recalls."""
        return DeliveryDesk(
            self.world.records,
            self.registry,
            self.keyring,
            self.world.deliveries(out),
            self.record,
            self.clock,
            self.new_id,
            self.principal,
            meter,
        )

    @property
    def erase_desk(self) -> EraseDesk:
        """The desk for erasing a person."""
        kept_since = self.world.people_kept_since(self.clock())
        own = (self.tenant, self.delivery_desk(), self.registry, self.shelf_of, self.randomness)
        return EraseDesk(*own, people_kept_since=kept_since)

    def imports(self, region: str, on_row: OnRow, actor: str | None = None) -> FileImports:
        """Imports of consents and blocklists, in the name of `actor` or of whoever is logged in."""
        return FileImports(self.desk(region, actor), on_row, self.occasion)

    def close(self) -> None:
        """Seal the audit log, let go of what the world has opened; `AuditError` where it stays unsealed."""
        try:
            self.world.audit.conclude(self.clock())
        finally:
            self.world.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except AuditError:
            # What ended the work is said first; the next command seals, or says why it cannot.
            if error is None:
                raise

    def rotate_keys(self) -> Keyring:
        """Give the tenant a new primary key; the old ones still open what they made."""
        self.record(Action.KEY_ROTATED, key_ids=(self.keyring.primary.id,))
        self.keyring = self.world.keys.rotate(self._moment(), self.randomness)
        return self.keyring

    def destroy_key(self, key_id: int) -> Keyring:
        """Let go of a key that is not the primary one: what it protected opens no more. The same again may.

        `KeyringError` (`key_unknown`, `key_refused` for the primary) before anything is announced.
        """
        self.keyring.destroy(key_id)
        self.record(Action.KEY_DESTROYED, key_ids=(key_id,))
        self.keyring = self.world.keys.destroy(key_id)
        return self.keyring

    def rotate_log_key(self, to: str = "") -> str:
        """Have another key sign the audit log, announced in the log; returns its verifier key.

        `to`: in a stack the key's ARN. At home the old key is let go of when this returns.
        """

        def tell(digests: Mapping[str, str]) -> None:
            self.record(Action.AUDIT_REKEYED, digests=digests)

        return self.world.audit.rotate_key(self.clock(), self.randomness, tell, to)

    def sanitize(
        self,
        upload: ListSource,
        policy: Policy,
        out: Path | None = None,
        manner: Manner = Manner(),  # noqa: B008 - frozen, and what most callers want
        list_id: ListId | None = None,
    ) -> tuple[Manifest, str]:
        """Run the main job and publish its list; returns the manifest and where the list is.

        The list appears whole or not at all. Each run is announced and concluded in the audit log. `list_id`
        names a list that may have been begun before, by another attempt at the same upload; else it is new.
        """
        job = Job(list_id or self.new_id(), policy, self.clock())
        normalizer = Normalizer(number_rules(policy))
        tools = Tools(self.registry, self.keyring, normalizer, manner.progress, manner.meter, manner.workers)
        return make_list(upload, job, tools, self._office(out, manner))

    def conclude(self, list_id: ListId, manner: Manner) -> Manifest | None:
        """The manifest of a list that is published, entered as made where its maker did not live to do it."""
        return conclude_list(list_id, self._office(None, manner))

    def _office(self, out: Path | None, manner: Manner) -> ListOffice:
        shelf = self.world.shelf(str(out) if out else None)
        return ListOffice(shelf, self.catalogue, self.record, self.clock, manner.resume)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.clock() // 1000, UTC)


def uploads_of(name: str, api_url: str = "") -> UploadService:
    """The uploads of the stack called `name`, by its API, or by the API at `api_url`."""
    with _with_the_extra():
        from contact_sanitizer.aws.opening import open_uploads  # noqa: PLC0415 - homes need no boto3
    return open_uploads(name, api_url)


def traces_of(name: str, api_url: str = "") -> TraceService:
    """The traces of the stack called `name`, by its API, or by the API at `api_url`."""
    with _with_the_extra():
        from contact_sanitizer.aws.opening import open_traces  # noqa: PLC0415 - homes need no boto3
    return open_traces(name, api_url)


@contextmanager
def _with_the_extra() -> Iterator[None]:
    try:
        yield
    except ImportError:
        message = "working in a stack needs the AWS extra: install contact-sanitizer[aws]"
        raise HomeError("stack_unavailable", message) from None


def number_rules(policy: Policy) -> NumberRules:
    """What a policy wants of its numbers."""
    return NumberRules(
        default_region=policy.default_region,
        allow_kinds=frozenset(NumberKind[word.upper()] for word in policy.allow_types),
        allow_regions=frozenset(policy.allow_regions),
        placeholders=policy.placeholders == "reject",
    )
