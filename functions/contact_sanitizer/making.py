"""One list from its announcement to its entry in the catalogue, in whichever world it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from contact_sanitizer import __version__
from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.errors import ContactSanitizerError, IntakeError, OutputError
from contact_sanitizer.intake.raw import ListSource, size_of
from contact_sanitizer.job import Job, NoParts, Parts, Paused, Tools
from contact_sanitizer.listid import ListId, sortable_id
from contact_sanitizer.outputs.manifest import Counts, Manifest
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.ports import Absence, Announce, RevisableShelf
from contact_sanitizer.sanitize import sanitize
from contact_sanitizer.screening.recording import Ahead, RegistryStanding
from contact_sanitizer.terms import ListTerms, use_of


@dataclass(frozen=True, slots=True)
class ListOffice:
    """What surrounds the main job: where lists go, where they are entered, who is told before.

    `resume`: where settled batches are kept, by what they belong to.
    """

    shelf: RevisableShelf
    catalogue: Catalogue
    announce: Announce
    clock: Callable[[], int]
    resume: Callable[[str], Parts] = lambda _belongs: NoParts()


def make_list(upload: ListSource, job: Job, tools: Tools, office: ListOffice) -> tuple[Manifest, str]:
    """Make the list, publish it and enter it; returns its manifest and where it is.

    The list appears whole or not at all, and not before its event is kept. However often it is made under
    one id, at once or after a crash, there is one list: the first attempt's entry settles for all of them
    when it began and which keys and state of the registry count, and the first manifest is the manifest. So
    every attempt writes the same bytes and announces the same events. Raises the package's errors, of its own
    `OutputError` `list_claimed` where an earlier attempt had another policy, or somebody who took its maker
    for dead has given the list up; a failure is an event too.
    `Paused` passes through: the next attempt goes on.
    """
    claimed = office.catalogue.get(job.list_id) or _begin(upload, job, tools, office)
    _check_wanted(claimed)
    if claimed.policy_sha256 != job.policy.sha256:
        raise OutputError("list_claimed", "this list was begun under another policy; upload the file again")
    if _is_published(claimed, office):
        return _conclude(claimed, office)
    change, snapshot = claimed.registry_change, claimed.snapshot
    job = replace(job, started_at=claimed.started_at, change=change, snapshot=snapshot)
    keyring = tools.keyring.protecting_with(claimed.key_id)
    tools = replace(tools, keyring=keyring, parts=office.resume(_belongs(claimed)))
    try:
        settled = _publish(upload, job, tools, office)
    except Paused:
        raise
    except BaseException as error:
        code = error.code if isinstance(error, ContactSanitizerError) else "interrupted"
        office.announce(Action.LIST_FAILED, outcome=Outcome.FAILURE, **_about(job), code=code)
        has_appeared = office.shelf.absence(job.list_id) in {Absence.PART, Absence.OPEN}
        office.catalogue.change(job.list_id, lambda entry: _failed(entry, has_appeared=has_appeared))
        raise
    return _conclude(settled, office)


def conclude_list(list_id: ListId, office: ListOffice) -> Manifest | None:
    """The manifest of a published list, entered as made also where its maker died before; or None."""
    claimed = office.catalogue.get(list_id)
    return _conclude(claimed, office)[0] if claimed and _is_published(claimed, office) else None


def _publish(upload: ListSource, job: Job, tools: Tools, office: ListOffice) -> ListEntry:
    """Makes and publishes the list; returns its entry with the manifest that counts."""
    manifest = None
    try:
        with office.shelf.begin(job.list_id) as sink:
            manifest = replace(sanitize(upload, job, tools, sink), finished_at=office.clock())
            made = manifest
            settled = office.catalogue.change(job.list_id, lambda entry: _settled(entry, made))
            manifest = Manifest.decode(settled.manifest.encode())
            _announce(job, office, Action.LIST_PUBLISHED, manifest.finished_at, **_published(manifest))
            sink.publish(settled.manifest.encode())
            return settled
    except ContactSanitizerError:
        # Another worker may have been faster: then the list is there, and its upload perhaps gone.
        present = None if manifest else office.catalogue.get(job.list_id)
        if present is None or not _is_published(present, office):
            raise
        return present


def _is_published(claimed: ListEntry, office: ListOffice) -> bool:
    return bool(claimed.manifest) and office.shelf.manifest(ListId(claimed.list_id)) is not None


def _begin(upload: ListSource, job: Job, tools: Tools, office: ListOffice) -> ListEntry:
    """Announces the list and enters it; of attempts at once each may announce it, and one enters it."""
    _announce(job, office, Action.LIST_STARTED, job.started_at)
    standing = tools.registry.standing(Ahead(job.rule, job.now, lambda: _size(upload)))
    return office.catalogue.claim(_entry(job, standing, tools, office))


def _size(upload: ListSource) -> int:
    try:
        return size_of(upload)
    except IntakeError:
        return 0  # whoever reads it says what is wrong


def _belongs(claimed: ListEntry) -> str:
    """What decides the bytes of a list, besides the upload that its id stands for."""
    engine = f"{__version__}|{load_plan().metadata_version}"
    registry = f"{claimed.registry_change}|{claimed.snapshot}"
    return (
        f"{engine}|{claimed.list_id}|{claimed.policy_sha256}|{claimed.started_at}|{registry}|{claimed.key_id}"
    )


def _conclude(settled: ListEntry, office: ListOffice) -> tuple[Manifest, str]:
    """Enters a published list as made, and lets go of its parts."""
    list_id, manifest = ListId(settled.list_id), Manifest.decode(settled.manifest.encode())
    office.catalogue.enter_use(settled.terms.audience, settled.terms.use)
    office.resume(_belongs(settled)).clear()
    office.catalogue.change(list_id, lambda entry: _made(entry, manifest.counts))
    return manifest, office.shelf.where(list_id)


def _made(entry: ListEntry, counts: Counts) -> ListEntry:
    rows, kept, dropped, rejected = counts.rows, counts.kept, counts.dropped, counts.rejected
    return replace(entry, state="made", rows=rows, kept=kept, dropped=dropped, rejected=rejected)


def _check_wanted(entry: ListEntry) -> None:
    if entry.state == "forgotten":
        raise OutputError("list_claimed", "this list was given up meanwhile; run the same again")


def _settled(entry: ListEntry, manifest: Manifest) -> ListEntry:
    """The entry with a manifest; one that is there already stands, where it tells of the same files."""
    _check_wanted(entry)
    if not entry.manifest:
        return replace(entry, state="making", manifest=manifest.encode().decode())
    if Manifest.decode(entry.manifest.encode()).outputs != manifest.outputs:
        raise OutputError("list_exists", "an earlier attempt at this list came to other files")
    return entry


def _failed(entry: ListEntry, *, has_appeared: bool) -> ListEntry:
    """The entry of a list that failed; one that is there all the same, or may be, is none: it has people."""
    if entry.state in {"made", "forgotten"} or (entry.manifest and has_appeared):
        return entry
    return replace(entry, state="failed")


def _announce(job: Job, office: ListOffice, action: Action, at: int, **particulars: Any) -> None:
    """Announce what may be announced again by another attempt, in the very same words."""
    # The time in an event's id is when it happened: by that the seal finds it.
    uid = sortable_id(at, sha256(f"{job.list_id}|{action}".encode()).digest())
    office.announce(action, at=at, uid=uid, correlation=job.list_id, **_about(job), **particulars)


def _about(job: Job) -> dict[str, Any]:
    purpose = plain_word(job.policy.consent.purpose)
    return {"list_id": job.list_id, "policy": job.policy.sha256, "purpose": purpose}


def _entry(job: Job, standing: RegistryStanding, tools: Tools, office: ListOffice) -> ListEntry:
    return ListEntry(
        job.list_id,
        "making",
        job.policy.name,
        job.started_at,
        office.shelf.place,
        _terms(job),
        job.policy.sha256,
        standing.change,
        tools.keyring.primary.id,
        standing.snapshot or "",
    )


def _terms(job: Job) -> ListTerms:
    output, evidence = job.policy.output, job.policy.consent.evidence
    return ListTerms(
        use=use_of(job.rule, evidence, job.now),
        audience=output.audience,
        columns=job.policy.written_columns,
        format=output.format,
        hash_as=output.hash_as,
        phones=output.phones,
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
