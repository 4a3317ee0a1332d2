"""One list from its announcement to its entry in the catalogue, in whichever world it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.catalogue import Catalogue, ListEntry, ListTerms, State
from contact_sanitizer.errors import ContactSanitizerError
from contact_sanitizer.intake.raw import ListSource
from contact_sanitizer.job import Job, Tools
from contact_sanitizer.outputs.manifest import Manifest
from contact_sanitizer.ports import Announce, ListShelf
from contact_sanitizer.sanitize import sanitize


@dataclass(frozen=True, slots=True)
class ListOffice:
    """What surrounds the main job: where lists go, where they are entered, who is told before."""

    shelf: ListShelf
    catalogue: Catalogue
    announce: Announce
    clock: Callable[[], int]


def make_list(upload: ListSource, job: Job, tools: Tools, office: ListOffice) -> tuple[Manifest, str]:
    """Make the list, publish it and enter it; returns its manifest and where it is.

    The list appears whole or not at all, and not before its event is kept. Raises the package's errors;
    a failure is an event and an entry too.
    """
    about: dict[str, Any] = {
        "list_id": job.list_id,
        "policy": job.policy.sha256,
        "purpose": plain_word(job.policy.consent.purpose),
    }
    office.announce(Action.LIST_STARTED, **about)
    try:
        with office.shelf.begin(job.list_id) as sink:
            office.catalogue.put(_entry(job, office, "making"))
            manifest = replace(sanitize(upload, job, tools, sink), finished_at=office.clock())
            office.announce(Action.LIST_PUBLISHED, **about, **_published(manifest))
            sink.publish(manifest.encode())
    except BaseException as error:
        code = error.code if isinstance(error, ContactSanitizerError) else "interrupted"
        office.announce(Action.LIST_FAILED, outcome=Outcome.FAILURE, **about, code=code)
        office.catalogue.put(_entry(job, office, "failed"))
        raise
    counts = manifest.counts
    office.catalogue.put(
        replace(
            _entry(job, office, "made"),
            rows=counts.rows,
            kept=counts.kept,
            dropped=counts.dropped,
            rejected=counts.rejected,
        )
    )
    return manifest, office.shelf.where(job.list_id)


def _entry(job: Job, office: ListOffice, state: State) -> ListEntry:
    place, terms = office.shelf.place, _terms(job)
    return ListEntry(job.list_id, state, job.policy.name, job.started_at, place, terms)


def _terms(job: Job) -> ListTerms:
    output = job.policy.output
    return ListTerms(
        rule=job.rule,
        evidence=job.policy.consent.evidence,
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
