"""The composition root: open a home, get the use cases.

Everything that a use case needs from the world is put together here and nowhere else: where things lie,
what time it is, where randomness comes from, who is at work.
"""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from contact_sanitizer.audit.events import Action, Event, Outcome, plain_word
from contact_sanitizer.embedded.auditlog import AuditFile
from contact_sanitizer.embedded.catalogue import CatalogueFolder
from contact_sanitizer.embedded.home import Home, TenantFolder, make_tenant, open_home
from contact_sanitizer.embedded.keyfile import KeyFile
from contact_sanitizer.embedded.listfolder import ListFolder
from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.errors import ContactSanitizerError, IntakeError
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.raw import RawFile
from contact_sanitizer.job import Job, Meter, Tools, no_meter
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.ports import ListEntry, State
from contact_sanitizer.protection.digests import UploadDigest
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.sealing import seal_numbers
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.registering.desk import Desk, any_number
from contact_sanitizer.registering.hashlists import import_hashlist
from contact_sanitizer.registering.imports import (
    BlockDefaults,
    ConsentDefaults,
    ImportReport,
    ImportTools,
    import_blocklist,
    import_consents,
)
from contact_sanitizer.sanitize import sanitize
from contact_sanitizer.screening.foreign import HashContract

if TYPE_CHECKING:
    from contact_sanitizer.policy import Policy


def system_clock() -> int:
    """Now, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


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


OnRow = Callable[[int, str], None]


@dataclass(frozen=True, slots=True, repr=False)
class HashedList:
    """That a blocklist holds hashes: under a stated contract, or one that a number on the list proves."""

    contract: str = ""
    known_phone: str = ""


@dataclass
class Workspace:
    """A home folder and one tenant in it, opened for one command."""

    home: Home
    tenant: str
    clock: Callable[[], int] = system_clock
    randomness: Callable[[int], bytes] = os.urandom
    principal: str = field(default_factory=login_name)

    @classmethod
    def open(cls, root: Path, tenant: str = "default", **world: Any) -> Workspace:
        """The workspace of a tenant in the home at `root`; both are made where they are missing."""
        workspace = cls(open_home(root), tenant, **world)
        workspace._make_tenant()
        return workspace

    @cached_property
    def correlation(self) -> ListId:
        """One id for all events of this command."""
        return self.new_id()

    @cached_property
    def audit(self) -> AuditFile:
        """The home's audit log."""
        return AuditFile(self.home.audit)

    @cached_property
    def catalogue(self) -> CatalogueFolder:
        """Which lists were made."""
        return CatalogueFolder(self.home.catalogue)

    @property
    def places(self) -> TenantFolder:
        """Where this tenant's things lie."""
        return self.home.tenant(self.tenant)

    @cached_property
    def keyring(self) -> Keyring:
        """The tenant's keys."""
        return KeyFile(self.places.keys).load()

    @cached_property
    def registry(self) -> SqliteRegistry:
        """The tenant's consents and suppressions."""
        return SqliteRegistry.open(self.places.registry, self.places.snapshots)

    def new_id(self) -> ListId:
        """A fresh sortable id."""
        return sortable_id(self.clock(), self.randomness(10))

    def record(
        self, action: Action, *, outcome: Outcome = Outcome.BEGUN, uid: str = "", **particulars: Any
    ) -> None:
        """Write one audit event; what it announces may happen once this has returned.

        `uid`: the event's id where the same effect may be announced twice; else a new one.
        """
        common = (self.clock(), self.principal, self.tenant, self.correlation, uid or self.new_id())
        self.audit.append(Event(action, outcome, *common, **particulars))

    def desk(self, region: str, actor: str | None = None) -> Desk:
        """The desk for acts on one person, in the name of `actor` or of whoever is logged in."""
        now = self.clock() // 1000
        return Desk(self.registry, self.keyring, self.record, actor or self.principal, now, region)

    def import_consents(
        self, source: Path, defaults: ConsentDefaults, region: str, on_row: OnRow, actor: str | None = None
    ) -> ImportReport:
        """Record the consents and withdrawals of a file; announced before the first row."""
        tools = self._import_tools(source, region, on_row, actor)
        self.record(Action.CONSENT_IMPORTED, digests={"file": tools.file_digest})
        return import_consents(source, tools, defaults)

    def import_blocks(
        self,
        source: Path,
        defaults: BlockDefaults,
        region: str,
        on_row: OnRow,
        *,
        actor: str | None = None,
        hashed: HashedList | None = None,
    ) -> ImportReport:
        """Record the entries of a blocklist, of phones or of somebody else's hashes; announced before."""
        tools = self._import_tools(source, region, on_row, actor)
        self.record(
            Action.BLOCK_IMPORTED, digests={"file": tools.file_digest}, scope=plain_word(defaults.scope)
        )
        if hashed is None:
            with _hint_at_hashes():
                return import_blocklist(source, tools, defaults)
        known = ""
        if hashed.known_phone:
            block = self.desk(region, actor).person(hashed.known_phone).block
            known = block.rstrip(b"\0").decode("ascii")
        contract = HashContract.named(hashed.contract) if hashed.contract else None
        return import_hashlist(source, tools, defaults, contract=contract, known_digits=known)

    def _import_tools(self, source: Path, region: str, on_row: OnRow, actor: str | None) -> ImportTools:
        digest = UploadDigest(self.keyring)
        with RawFile(source, Limits()) as raw:
            while content := raw.read(1 << 20):
                digest.update(content)
        return ImportTools(
            self.registry,
            Normalizer(any_number(region)),
            lambda blocks: (subjects(blocks, self.keyring), seal_numbers(blocks, self.keyring)),
            self.clock() // 1000,
            actor or self.principal,
            digest.hexdigest(),
            region,
            on_row=on_row,
        )

    def close(self) -> None:
        """Let go of the registry, where it was opened."""
        if "registry" in self.__dict__:
            self.registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def rotate_keys(self) -> Keyring:
        """Give the tenant a new primary key; the old ones still open what they made."""
        self.record(Action.KEY_ROTATED, key_ids=(self.keyring.primary.id,))
        self.keyring = KeyFile(self.places.keys).rotate(self._moment(), self.randomness)
        return self.keyring

    def sanitize(
        self,
        upload: Path,
        policy: Policy,
        out: Path | None = None,
        progress: Callable[[int], None] = lambda _bytes: None,
        *,
        meter: Meter = no_meter,
        workers: int = 0,
    ) -> tuple[Manifest, Path]:
        """Run the main job and publish its list; returns the manifest and the list's folder.

        The list appears whole or not at all. Each run is announced and concluded in the audit log.
        """
        job = Job(self.new_id(), policy, self.clock())
        normalizer = Normalizer(number_rules(policy))
        tools = Tools(self.registry, self.keyring, normalizer, progress, meter, workers)
        place = (out or self.home.lists).absolute()
        purpose = plain_word(policy.consent.purpose)
        about: dict[str, Any] = {"list_id": job.list_id, "policy": policy.sha256, "purpose": purpose}
        self.record(Action.LIST_STARTED, **about)
        try:
            with ListFolder(place, job.list_id) as folder:
                self._enter(job, place, "making")
                manifest = replace(sanitize(upload, job, tools, folder), finished_at=self.clock())
                self.record(Action.LIST_PUBLISHED, **about, **_published(manifest))
                folder.publish(manifest.encode())
        except BaseException as error:
            code = error.code if isinstance(error, ContactSanitizerError) else "interrupted"
            self.record(Action.LIST_FAILED, outcome=Outcome.FAILURE, **about, code=code)
            self._enter(job, place, "failed")
            raise
        self._enter(job, place, "made", manifest)
        return manifest, folder.place

    def _enter(self, job: Job, place: Path, state: State, manifest: Manifest | None = None) -> None:
        entry = ListEntry(
            job.list_id, self.tenant, state, job.policy.name, job.started_at, str(place / job.list_id)
        )
        if manifest:
            counts = manifest.counts
            entry = replace(
                entry, rows=counts.rows, kept=counts.kept, dropped=counts.dropped, rejected=counts.rejected
            )
        self.catalogue.put(entry)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.clock() // 1000, UTC)

    def _make_tenant(self) -> None:
        if self.places.root.is_dir():
            return
        self.record(Action.HOME_CREATED)
        make_tenant(self.places, self._fill_tenant)

    def _fill_tenant(self, places: TenantFolder) -> None:
        KeyFile(places.keys).create(self.tenant, self._moment(), self.randomness)
        places.snapshots.mkdir(mode=0o700)
        SqliteRegistry.open(places.registry, places.snapshots, create=True).close()


@contextmanager
def _hint_at_hashes() -> Iterator[None]:
    """A blocklist without phones may be one of hashes, which has to be said."""
    try:
        yield
    except IntakeError as error:
        if error.code != "phone_column_missing":
            raise
        message = "no column of phones was found; for a list of hashes say --contract or --known"
        raise IntakeError(error.code, message) from None


def number_rules(policy: Policy) -> NumberRules:
    """What a policy wants of its numbers."""
    return NumberRules(
        default_region=policy.default_region,
        allow_kinds=frozenset(NumberKind[word.upper()] for word in policy.allow_types),
        allow_regions=frozenset(policy.allow_regions),
        placeholders=policy.placeholders == "reject",
    )


def _published(manifest: Manifest) -> dict[str, Any]:
    return {
        "counts": {"rows": manifest.counts.rows, "kept": manifest.counts.kept, **manifest.counts.by_reason},
        "key_ids": (manifest.keys["primary"],),
        "registry_change": manifest.registry_as_of["change"],
        "digests": {
            **{output.name.partition(".")[0]: output.sha256 for output in manifest.outputs},
            "manifest": sha256(manifest.encode()).hexdigest(),
        },
    }
