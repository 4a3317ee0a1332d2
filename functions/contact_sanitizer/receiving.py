"""What becomes of an object that arrived in a stack: a list, or a refusal; and the same again for a repeat.

An arrival is told at least once, in any order. The list's id follows from the object's version alone, so
that every telling leads to the same list. What is wrong with the upload is refused for good; what is wrong
with the world around it is raised, for the arrival to be told again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from contact_sanitizer.audit.events import Action, Outcome
from contact_sanitizer.errors import ContactSanitizerError, IntakeError, PolicyError, RequestError
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.listid import ListId, parse_list_id, sortable_id
from contact_sanitizer.policy import Policy
from contact_sanitizer.policyshelf import DEFAULT, PolicyShelf
from contact_sanitizer.ports import Announce
from contact_sanitizer.uploading import Upload, Uploads, UploadState, refused

_KEY: Final = re.compile(r"(uploads|registry)/([^/]+)/(.+)\Z", re.DOTALL)
_ASKED_FOR: Final = re.compile(r"([0-9A-Z]{26})/list\Z")
_FOLDER: Final = re.compile(r"(consents|blocks)/.", re.DOTALL)
_OF_THE_UPLOAD: Final = (IntakeError, PolicyError)
_OF_THE_WORLD: Final = frozenset({"object_unreadable"})
"""A code of intake that speaks of the store, not of the file."""

_FOR_GOOD: Final = frozenset({"list_claimed"})
"""Codes of other errors that no repeat mends."""


@dataclass(frozen=True, slots=True, repr=False)
class Arrival:
    """One version of one object, as its store told it; `at` in milliseconds since 1970 UTC.

    `version` may be missing where a store does not tell it; `sequencer` then tells one writing of a key
    from another. Does not show itself: a key is what somebody typed.
    """

    bucket: str
    key: str
    version: str
    etag: str
    sequencer: str
    at: int

    @property
    def list_id(self) -> ListId:
        """The id of the list that comes of it: the moment, and 80 bits of the digest of what names it."""
        named = "\0".join((self.bucket, self.key, self.version or f"{self.etag}\0{self.sequencer}"))
        return sortable_id(self.at // 1000 * 1000, hashlib.sha256(named.encode()).digest()[:10])

    @property
    def area(self) -> str:
        """`uploads` or `registry`; empty where the key is none of ours."""
        return self._part(1)

    @property
    def tenant(self) -> str:
        """Whose it is, as the key says."""
        return self._part(2)

    @property
    def upload_id(self) -> ListId:
        """The id of the form by which it came; the list's own where it came without one."""
        found = _ASKED_FOR.match(self._part(3))
        return (parse_list_id(found[1]) if found else None) or self.list_id

    @property
    def folder(self) -> str:
        """What a file for the registry holds: `consents` or `blocks`; empty for anything else."""
        found = _FOLDER.match(self._part(3))
        return found[1] if found else ""

    def _part(self, number: int) -> str:
        found = _KEY.match(self.key)
        return found[number] if found else ""

    def __repr__(self) -> str:
        return "Arrival()"


class Arrived(Protocol):
    """Where objects arrive."""

    def find(self, arrival: Arrival) -> Source:
        """The very bytes that arrived; `IntakeError` where they are gone, changed, empty or out of reach."""
        ...

    def delete(self, arrival: Arrival) -> None:
        """Let go of that version for good; one that is gone is no error."""
        ...


Counts = Mapping[str, int]
Made = Callable[[ListId], "Counts | None"]
Make = Callable[[Source, Policy, ListId], Counts]
Take = Callable[[Source, str], Counts]


@dataclass(frozen=True, slots=True)
class Reception:
    """What a tenant's arrivals meet: where they are noted, where they lie, who is told before."""

    uploads: Uploads
    arrived: Arrived
    announce: Announce
    clock: Callable[[], int]


def receive_list(
    arrival: Arrival, reception: Reception, policies: PolicyShelf, made: Made, make: Make
) -> Upload:
    """Make the list of an upload, once; returns what is then known of the upload.

    `made`: the counts of a list that is finished, None while it is not. `make` makes it and returns its
    counts. Raises what may pass; then the upload waits.
    """
    upload = _noted(arrival, reception)
    if upload.list_id != arrival.list_id:
        _deny(arrival, reception, "upload_reused")
        return upload
    if upload.state is UploadState.REFUSED:
        return upload

    def work() -> Counts:
        finished = made(arrival.list_id)
        if finished is not None:
            return finished
        return make(reception.arrived.find(arrival), policies.get(upload.policy), arrival.list_id)

    if upload.state is UploadState.MADE:
        # A worker whom another overtook may have died over a part of the list: this clears it away.
        made(arrival.list_id)
    else:
        upload = _settled(arrival, reception, work)
    if upload.state is UploadState.MADE and not _is_kept(policies, upload.policy):
        _delete(arrival, reception)
    return upload


def receive_register(arrival: Arrival, reception: Reception, take: Take) -> Upload:
    """Bring a file of consents or blocks into the registry; returns what is then known of it.

    The same file again changes nothing. Raises what may pass; then the file waits.
    """
    upload = _noted(arrival, reception)
    if upload.state is UploadState.REFUSED:
        return upload
    if upload.state is not UploadState.MADE:
        upload = _settled(arrival, reception, lambda: take(reception.arrived.find(arrival), arrival.folder))
    if upload.state is UploadState.MADE:
        _delete(arrival, reception)
    return upload


def postpone(arrival: Arrival, reception: Reception, code: str) -> None:
    """Note why an upload has to wait, unless something final is known or the record is another version's."""

    def wait(upload: Upload) -> Upload:
        mine = upload.list_id == arrival.list_id and not upload.state.is_final
        return replace(upload, state=UploadState.WAITING, code=code) if mine else upload

    _noted(arrival, reception)
    reception.uploads.change(arrival.upload_id, wait)


def _noted(arrival: Arrival, reception: Reception) -> Upload:
    """The upload's record, claimed for this list unless another version of the object was there first."""
    upload_id = arrival.upload_id
    if reception.uploads.get(upload_id) is None:
        unasked = Upload(upload_id, UploadState.REQUESTED, DEFAULT, reception.clock())
        reception.uploads.begin(unasked)

    def claim(upload: Upload) -> Upload:
        if upload.list_id not in {"", arrival.list_id} or upload.state.is_final:
            return upload
        return replace(upload, state=UploadState.MAKING, list_id=arrival.list_id, code="")

    return reception.uploads.change(upload_id, claim)


def _settled(arrival: Arrival, reception: Reception, work: Callable[[], Counts]) -> Upload:
    """The upload after the work was done, or refused for good; raises what may pass."""
    try:
        counts = work()
    except ContactSanitizerError as error:
        if not _is_final(error):
            postpone(arrival, reception, error.code)
            raise
        present = reception.uploads.get(arrival.upload_id)
        if present is not None and present.state is UploadState.MADE:
            # Another worker was faster; the object is gone because its list is made.
            return present
        code = error.code
        _deny(arrival, reception, code)
        return reception.uploads.change(arrival.upload_id, lambda upload: refused(upload, code))
    return reception.uploads.change(
        arrival.upload_id, lambda upload: replace(upload, state=UploadState.MADE, code="", counts=counts)
    )


def _is_final(error: ContactSanitizerError) -> bool:
    about_the_upload = isinstance(error, _OF_THE_UPLOAD) and error.code not in _OF_THE_WORLD
    return about_the_upload or error.code in _FOR_GOOD


def _is_kept(policies: PolicyShelf, name: str) -> bool:
    """Whether the upload stays until it expires; where its policy is gone meanwhile it does not."""
    try:
        return policies.get(name).raw.keep != "none"
    except PolicyError:
        return False


def _deny(arrival: Arrival, reception: Reception, code: str) -> None:
    reception.announce(
        Action.UPLOAD_DENIED,
        outcome=Outcome.FAILURE,
        uid=_event_id(arrival, "denied"),
        upload_id=arrival.upload_id,
        list_id=arrival.list_id,
        code=code,
    )


def _delete(arrival: Arrival, reception: Reception) -> None:
    reception.announce(
        Action.UPLOAD_DELETED,
        uid=_event_id(arrival, "deleted"),
        upload_id=arrival.upload_id,
        list_id=arrival.list_id,
    )
    reception.arrived.delete(arrival)


def _event_id(arrival: Arrival, what: str) -> ListId:
    """One id for one effect, however often it is told."""
    return sortable_id(arrival.at, hashlib.sha256(f"{arrival.list_id}\0{what}".encode()).digest()[:10])


def check_area(arrival: Arrival, area: str) -> None:
    """`RequestError` (`message_invalid`) where an arrival is not for that area."""
    if arrival.area != area or (area == "registry" and not arrival.folder):
        raise RequestError("message_invalid", "an object arrived where nothing is looked for")
