"""An upload from the request for its form to what became of it.

What is known of an upload is one record, whose state only moves forward: `requested`, `making`, then `made`
or `refused`; `waiting` where a fault may pass and the work is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from contact_sanitizer.audit.events import Action
from contact_sanitizer.errors import CatalogueError, RequestError
from contact_sanitizer.listid import ListId
from contact_sanitizer.policy import Policy
from contact_sanitizer.policyshelf import DEFAULT, PolicyShelf
from contact_sanitizer.ports import Announce, Record, Records

UPLOAD: Final = "upload"
"""The kind of the records of lists."""

IMPORT: Final = "import"
"""The kind of the records of files for the registry."""

FORM_SECONDS: Final = 15 * 60
_TRIES: Final = 10


class UploadState(StrEnum):
    """How far an upload has come."""

    REQUESTED = "requested"
    MAKING = "making"
    WAITING = "waiting"
    MADE = "made"
    REFUSED = "refused"

    @property
    def is_final(self) -> bool:
        """Whether nothing more becomes of it."""
        return self in {UploadState.MADE, UploadState.REFUSED}


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload; times in milliseconds since 1970 UTC, `code` why it was refused or waits."""

    upload_id: str
    state: UploadState
    policy: str
    at: int
    list_id: str = ""
    code: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UploadForm:
    """What a client sends, with the file as the last field, as a multipart form to `url`."""

    url: str
    fields: Mapping[str, str]


class FormMaker(Protocol):
    """Makes forms that a store accepts."""

    def form(self, key: str, largest: int, seconds: int) -> UploadForm:
        """A form for one object at exactly `key`, of 1 to `largest` bytes, encrypted as the store wants."""
        ...


class UploadService(Protocol):
    """Somebody's uploads, by the API of a stack. Every fault is a `RequestError`."""

    def request(self, policy: str) -> tuple[str, UploadForm]:
        """A new upload's id and its form."""
        ...

    def send(self, form: UploadForm, file: Path, progress: Callable[[int], None]) -> None:
        """Send the file by the form; `progress` is told how many bytes have gone since last time."""
        ...

    def show(self, upload_id: str) -> Mapping[str, Any]:
        """What the API says of an upload."""
        ...


class Uploads:
    """The uploads of one tenant, on its records; `kind` keeps lists and files for the registry apart."""

    def __init__(self, records: Records, kind: str = UPLOAD) -> None:
        self._records = records
        self._kind = kind

    def get(self, upload_id: str) -> Upload | None:
        """What is known of an upload, or None."""
        record = self._records.get(self._kind, upload_id)
        return _upload(record) if record else None

    def begin(self, upload: Upload) -> bool:
        """Write a new upload down; whether it was new."""
        return self._records.put(self._kind, upload.upload_id, _document(upload), after=0)

    def change(self, upload_id: str, change: Callable[[Upload], Upload]) -> Upload:
        """Write down what `change` makes of an upload; returns what is then known."""
        for _ in range(_TRIES):
            record = self._records.get(self._kind, upload_id)
            if record is None:
                raise RequestError("upload_unknown", "no upload of that id was asked for here")
            present = _upload(record)
            changed = change(present)
            if changed == present:
                return present
            if self._records.put(self._kind, upload_id, _document(changed), after=record.version):
                return changed
        raise CatalogueError("catalogue_busy", "others are writing the same; try again")


@dataclass(frozen=True, slots=True)
class UploadDesk:
    """Where one caller asks for uploads; `largest` is the most bytes that the store admits."""

    tenant: str
    uploads: Uploads
    policies: PolicyShelf
    forms: FormMaker
    announce: Announce
    largest: int


def key_of(tenant: str, upload_id: str) -> str:
    """Where an upload's object goes; nothing that somebody typed is in it."""
    return f"uploads/{tenant}/{upload_id}/list"


def request_upload(desk: UploadDesk, upload_id: ListId, at: int, policy: str = DEFAULT) -> UploadForm:
    """A form for one file, handed out after it is announced and written down.

    Raises `PolicyError` where the policy is missing or cannot be used: better now than after the upload.
    """
    rules: Policy = desk.policies.get(policy)
    form = desk.forms.form(
        key_of(desk.tenant, upload_id), min(desk.largest, rules.limits.max_bytes), FORM_SECONDS
    )
    desk.announce(Action.UPLOAD_REQUESTED, upload_id=upload_id, policy=rules.sha256)
    desk.uploads.begin(Upload(upload_id, UploadState.REQUESTED, policy, at))
    return form


def show_upload(uploads: Uploads, upload_id: str) -> Upload:
    """What became of an upload; `RequestError` (`upload_unknown`) where none of that id was asked for."""
    upload = uploads.get(upload_id)
    if upload is None:
        raise RequestError("upload_unknown", "no upload of that id was asked for here")
    return upload


def refused(upload: Upload, code: str) -> Upload:
    """The upload, refused for good."""
    return upload if upload.state.is_final else replace(upload, state=UploadState.REFUSED, code=code)


def _document(upload: Upload) -> dict[str, Any]:
    return asdict(upload)


def _upload(record: Record) -> Upload:
    try:
        stated = dict(record.document)
        upload = Upload(**{**stated, "state": UploadState(stated["state"])})
    except (KeyError, TypeError, ValueError):
        raise CatalogueError("catalogue_damaged", "the entry of an upload cannot be understood") from None
    if upload.upload_id != record.name or type(upload.at) is not int:
        raise CatalogueError("catalogue_damaged", "the entry of an upload cannot be understood")
    return upload
