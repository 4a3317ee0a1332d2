"""A tenant's things in a home folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from contact_sanitizer.audit.beside import Kept, deliveries_in, list_at, lists_in
from contact_sanitizer.embedded.auditlog import HomeLog, make_log
from contact_sanitizer.embedded.deliveryfolder import DeliveryFolder
from contact_sanitizer.embedded.home import Home, TenantFolder, make_tenant, open_home
from contact_sanitizer.embedded.keyfile import KeyFile
from contact_sanitizer.embedded.listfolder import ListFolders
from contact_sanitizer.embedded.records import SqliteRecords
from contact_sanitizer.embedded.registry import SqliteRegistry

_OWN = "home:lists"


@dataclass
class HomeWorld:
    """Implements `ports.World` on a home folder; everything is opened when it is first used."""

    home: Home
    tenant: str

    @classmethod
    def open(cls, root: Path, tenant: str) -> HomeWorld:
        """The world of a tenant in the home at `root`, which is made where it is missing."""
        world = cls(open_home(root), tenant)
        _ = world.places  # a name that is none is refused before anything is done in it
        return world

    @property
    def places(self) -> TenantFolder:
        """Where this tenant's things lie."""
        return self.home.tenant(self.tenant)

    @cached_property
    def audit(self) -> HomeLog:
        """The home's audit log."""
        return HomeLog(self.home)

    def make_audit(self, now: datetime, randomness: Callable[[int], bytes]) -> None:
        """Make the audit log where the home is new; `AuditError` where a home in use has lost its own."""
        make_log(self.home, int(now.timestamp()) * 1000, randomness)

    @cached_property
    def records(self) -> SqliteRecords:
        """The tenant's catalogue."""
        return SqliteRecords(self.places.catalogue)

    @property
    def keys(self) -> KeyFile:
        """The tenant's keys."""
        return KeyFile(self.places.keys)

    @cached_property
    def registry(self) -> SqliteRegistry:
        """The tenant's consents and suppressions."""
        return SqliteRegistry.open(self.places.registry, self.places.snapshots)

    def shelf(self, place: str | None) -> ListFolders:
        """Lists in the folder `place`, or in the home's own, which is so called wherever the home is."""
        own = self.home.lists.absolute()
        root = own if place in {None, _OWN} else Path(place or "").absolute()
        return ListFolders(root, _OWN if root == own else "")

    def deliveries(self, out: str | None) -> DeliveryFolder:
        """Deliveries to the file `out`; without one only what was delivered before can be looked at."""
        return DeliveryFolder(self.places.deliveries, Path(out).absolute() if out else None)

    def kept_lists(self, elsewhere: Iterable[tuple[str, str]]) -> Iterator[Kept]:
        """The lists in the home's own folder, of all tenants, and those of `elsewhere` that are there."""
        known = set[str]()
        for kept in lists_in(self.home.lists):
            known.add(kept.name)
            yield kept
        for place, list_id in elsewhere:
            folder = self.shelf(place).root / list_id
            if list_id not in known and folder.is_dir():
                yield list_at(folder)

    def kept_deliveries(self) -> Iterator[Kept]:
        """The notes of deliveries, of all tenants: no delivered file is kept at home."""
        for tenant in sorted(self.home.tenants.iterdir()):
            if not tenant.name.startswith("."):
                yield from deliveries_in(TenantFolder(tenant).deliveries)

    def people_kept_since(self, now: int) -> int:  # noqa: ARG002 - nothing expires in a home
        """Since ever: nobody but whoever erases a person touches a note."""
        return 0

    @property
    def has_tenant(self) -> bool:
        """Whether the tenant was made."""
        return self.places.root.is_dir()

    def make_tenant(self, now: datetime, randomness: Callable[[int], bytes]) -> None:
        """Make the tenant whole, with keys, registry and catalogue, where it is missing."""

        def fill(places: TenantFolder) -> None:
            KeyFile(places.keys).create(self.tenant, now, randomness)
            places.snapshots.mkdir(mode=0o700)
            SqliteRegistry.open(places.registry, places.snapshots, create=True).close()
            SqliteRecords.create(places.catalogue)

        make_tenant(self.places, fill)

    def close(self) -> None:
        """Let go of the files that were opened."""
        for opened in ("registry", "records"):
            if opened in self.__dict__:
                getattr(self, opened).close()
