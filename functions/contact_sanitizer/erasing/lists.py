"""A person is taken out of a finished list: their row of the clean list, their subject in the decisions.

The list is written anew and its new digests are announced with the one that they supersede, so that
`audit verify` accepts exactly this succession.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

from contact_sanitizer.catalogue import ListEntry
from contact_sanitizer.delivery.cleanlist import CleanList
from contact_sanitizer.erasing.desk import Work
from contact_sanitizer.erasing.journal import Step, Thing
from contact_sanitizer.errors import OutputError
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.blanking import Blanked, blank_decisions
from contact_sanitizer.outputs.listfiles import DECISIONS
from contact_sanitizer.outputs.manifest import Manifest, OutputFile
from contact_sanitizer.ports import ListRevision, ListShelf
from contact_sanitizer.protection.digests import note_digest


def erase_from_list(list_id: ListId, work: Work) -> None:
    """Take the person out of a list; nothing where they are not in it.

    Raises `OutputError`: `list_damaged` where the list is not what was made (nothing is changed then: what
    somebody altered must not become what was announced), `list_busy`, and what a shelf raises.
    """
    entry = _entry(list_id, work)
    shelf = work.desk.shelf_of(entry)
    with shelf.revise(list_id) as revision:
        # Read while nobody else revises it.
        entry, present = _entry(list_id, work), shelf.manifest(list_id)
        if present is None or (entry.manifest and entry.manifest.encode() != present):
            raise OutputError("list_damaged", "a list is not what was made, or is being erased from")
        after, blanked = _revised(entry, shelf, revision, present, work)
        if not blanked.rows:
            return
        encoded = after.encode()
        digest = sha256(encoded).hexdigest()
        counts = {"rows": blanked.rows, "clean_rows": len(blanked.clean)}
        step = Step(Thing.LIST, list_id, digest, counts, {})
        work.journal.put(step)
        files = {output.name.partition(".")[0]: output.sha256 for output in after.outputs}
        before = sha256(present).hexdigest()
        work.announce_revision(before, {**files, "manifest": digest}, list_id=list_id, counts=counts)
        revision.publish(encoded)
        _enter(list_id, encoded, work)
    work.journal.put(replace(step, done=True))


def settle_list(step: Step, work: Work) -> None:
    """Complete what an earlier attempt has published of a list, and enter it where that is what is there."""
    list_id = ListId(step.name)
    shelf = work.desk.shelf_of(_entry(list_id, work))
    shelf.settle(list_id)
    manifest = shelf.manifest(list_id)
    if manifest is not None and sha256(manifest).hexdigest() == step.digest:
        _enter(list_id, manifest, work)


def _revised(
    entry: ListEntry, shelf: ListShelf, revision: ListRevision, present: bytes, work: Work
) -> tuple[Manifest, Blanked]:
    """The manifest of the list without the person, after the `present` one; its files are written."""
    manifest = Manifest.decode(present)
    outputs = {output.name: output for output in manifest.outputs}
    list_id, clean_name = ListId(entry.list_id), f"clean.{entry.terms.format}"
    decisions = revision.create(DECISIONS)
    source = shelf.file(list_id, DECISIONS)
    blanked = blank_decisions(work.person.subject, source, _digest(outputs, DECISIONS), decisions)
    decisions.close()
    if blanked.kept != _rows(outputs, clean_name):
        raise OutputError("list_damaged", "a list's decisions do not go with its clean list")
    made = {DECISIONS: replace(outputs[DECISIONS], sha256=decisions.sha256, bytes=decisions.size)}
    if len(blanked.clean):
        clean, beside = revision.create(clean_name), note_digest()
        clean.take_beside(beside)
        rows = CleanList(shelf, list_id, present, entry.terms.format, list(entry.terms.columns))
        left = rows.write_without(blanked.clean, clean)
        clean.close()
        made[clean_name] = OutputFile.clean(clean_name, clean, beside, left)
    changed = [made.get(output.name, output) for output in manifest.outputs]
    return replace(manifest, outputs=changed, erased=manifest.erased + len(blanked.clean)), blanked


def _digest(outputs: Mapping[str, OutputFile], name: str) -> str:
    return outputs[name].sha256 if name in outputs else ""


def _rows(outputs: Mapping[str, OutputFile], name: str) -> int:
    return outputs[name].rows if name in outputs else -1


def _entry(list_id: ListId, work: Work) -> ListEntry:
    entry = work.desk.catalogue.get(list_id)
    if entry is None:
        raise OutputError("list_unknown", "no list of that id was made here")
    return entry


def _enter(list_id: ListId, manifest: bytes, work: Work) -> None:
    work.desk.catalogue.change(list_id, lambda entry: replace(entry, manifest=manifest.decode()))
