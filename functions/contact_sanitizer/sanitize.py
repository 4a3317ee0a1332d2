"""The main job: intake → phone → screening → protection → outputs.

A list is read once, batch by batch, and written as it is read. Only one thing looks back: a refusal that
stands further down in the file drops rows of the same number that were already kept. Then the rest of the
file is read for its refusals alone, and the list is made anew knowing all of them. So a list is read at
most twice, no row waits anywhere in the clear, and the common list is read once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer import __version__
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.consentcells import ConsentCell, consent_codes
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.listfile import ColumnWish, ListFile, ReadOptions, open_list
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.clean import clean_writer
from contact_sanitizer.outputs.decisions import DecisionsWriter
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.outputs.manifest import Manifest, OutputFile, Upload, Warned, counts_of
from contact_sanitizer.outputs.rejects import RejectsWriter
from contact_sanitizer.phone.foreign import looks_foreign
from contact_sanitizer.phone.normalize import Normalizer, Numbers
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.policy import Action, Policy, Role
from contact_sanitizer.ports import ListSink, Registry, Screening
from contact_sanitizer.protection.columns import ColumnContext, protect_column
from contact_sanitizer.protection.digests import UploadDigest
from contact_sanitizer.protection.keyring import Keyring
from contact_sanitizer.protection.subjects import subjects as subjects_of
from contact_sanitizer.protection.tokens import TokenMaker
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.duplicates import DuplicateSet
from contact_sanitizer.screening.evidence import weigh
from contact_sanitizer.screening.infile import InFileRefusals
from contact_sanitizer.screening.recording import Candidates, RegistryStanding
from contact_sanitizer.screening.rule import Rule
from contact_sanitizer.screening.subjectruns import Needles
from contact_sanitizer.screening.verdict import Drop, primary_reasons

FOREIGN_SHARE: Final = 0.2
WARNINGS: Final = {
    "name_disagrees": "the file's name says another format than its content; the content was read",
    "hidden_rows_read": "rows that the workbook hides were read like the others",
    "hidden_columns_read": "columns that the workbook hides were read like the others",
    "formula_without_value": "cells hold a formula without a saved value and count as empty",
    "unknown_consent_words": "consent cells hold words that are neither yes nor no; they are no consent",
    "foreign_numbers": "many refused cells look like Chinese mobiles: is the default region right?",
}
Meter = Callable[[str], AbstractContextManager[None]]


def no_meter(_stage: str) -> AbstractContextManager[None]:
    """A meter that measures nothing."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Job:
    """One run: the list's id, its rules, and the moment it began (milliseconds since 1970 UTC).

    Consents and suppressions are judged at that moment.
    """

    list_id: ListId
    policy: Policy
    started_at: int

    @property
    def now(self) -> int:
        """The moment of judgement in seconds."""
        return self.started_at // 1000

    @property
    def rule(self) -> Rule:
        """What has to be allowed, and which refusals count."""
        consent, suppression = self.policy.consent, self.policy.suppression
        return Rule(
            purpose=consent.purpose,
            channel=consent.channel,
            sender=consent.sender,
            max_age_days=consent.max_age_days,
            scopes=frozenset(suppression.scopes),
            register_max_age_days={str(scope): days for scope, days in suppression.max_age_days.items()},
        )


@dataclass(frozen=True, slots=True)
class Tools:
    """What the job works with; `progress` is told how many bytes of the upload were read since last time."""

    registry: Registry
    keyring: Keyring
    normalizer: Normalizer
    progress: Callable[[int], None] = lambda _bytes: None
    meter: Meter = no_meter


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """A batch after the steps that look at one row at a time: cells, numbers, subjects, consent cells."""

    batch: CellBatch
    numbers: Numbers
    reasons: NDArray[np.uint8]
    subjects: NDArray[np.uint8]
    consent: NDArray[np.uint8] | None
    noted: NDArray[np.uint8]

    @property
    def withdrawn(self) -> NDArray[np.uint8]:
        """The subjects (k, 16) whose consent cell says no."""
        if self.consent is None:
            return self.subjects[:0]
        said_no = (self.consent == ConsentCell.NO) & (self.reasons == 0)
        return self.subjects[np.flatnonzero(said_no)]


def sanitize(upload: Path, job: Job, tools: Tools, sink: ListSink) -> Manifest:
    """Make the list of `upload` in `sink`, all but published, and return its manifest.

    Promises: every record of the file is in exactly one outcome; the same upload, policy, keys, registry
    state and list id give the same bytes. Raises the package's errors; then nothing may be published.
    """
    refusals = InFileRefusals(sink.scratch / "refusals")
    made = _make(upload, job, tools, sink, refusals)
    if made is None:
        sink.restart()
        made = _make(upload, job, tools, sink, refusals)
    if made is None:
        raise AssertionError("a refusal appeared that the whole file did not hold")
    return made


def _make(upload: Path, job: Job, tools: Tools, sink: ListSink, refusals: InFileRefusals) -> Manifest | None:
    """The manifest; None where a refusal came after a row of its number was kept (`refusals` is whole)."""
    digest = UploadDigest(tools.keyring)
    with (
        open_list(
            upload, _wishes(job.policy), _options(job.policy), observe=_observer(digest, tools)
        ) as file,
        tools.registry.screening(job.rule, job.now) as screening,
    ):
        making = _Making(job, tools, sink, refusals, screening)
        contradicted = False
        for prepared in _prepared(file, job, tools):
            refusals.learn(prepared.noted, prepared.withdrawn)
            contradicted = contradicted or making.kept_any(prepared.noted, prepared.withdrawn)
            if not contradicted:
                making.take(prepared)
        if contradicted:
            return None
        return making.finish(file, digest.hexdigest())


def _prepared(file: ListFile, job: Job, tools: Tools) -> Iterator[Prepared]:
    batches = iter(file.batches())
    while True:
        with tools.meter("intake"):
            batch = next(batches, None)
        if batch is None:
            return
        yield _prepare(batch, job, tools)


def _prepare(batch: CellBatch, job: Job, tools: Tools) -> Prepared:
    """The steps that need nothing but the batch itself."""
    phone, consent = (job.policy.column_with(role) or "" for role in (Role.PHONE, Role.CONSENT))
    with tools.meter("phone"):
        numbers = tools.normalizer.normalize(batch.cells[phone])
        reasons = np.where(batch.flaws > 0, batch.flaws, numbers.reasons).astype(np.uint8)
    with tools.meter("subjects"):
        stated = numbers.blocks[:, 0] != 0
        subjects = subjects_of(numbers.blocks, tools.keyring)
        subjects[~stated] = 0
        noted = subjects_of(numbers.refused, tools.keyring)
    codes = None
    if consent in batch.cells:
        with tools.meter("consent cells"):
            codes = consent_codes(batch.cells[consent], job.now, job.policy.consent.max_age_days)
    return Prepared(batch, numbers, reasons, subjects, codes, noted)


class _Making:
    """One reading of the file: verdicts in row order, and the files that they are written to."""

    def __init__(
        self, job: Job, tools: Tools, sink: ListSink, refusals: InFileRefusals, screening: Screening
    ) -> None:
        self._job, self._tools, self._sink = job, tools, sink
        self._refusals, self._screening = refusals, screening
        self._duplicates = DuplicateSet(sink.scratch / "kept")
        policy = job.policy
        self._tokens = TokenMaker(tools.keyring, policy.output.audience)
        self._files: dict[str, DigestingFile] = {}
        clean = self._file(f"clean.{policy.output.format}")
        self._clean = clean_writer(policy.output.format, clean, list(policy.written_columns))
        self._rejects = RejectsWriter(self._file("rejects.csv"), coarse=policy.reports.disclose == "coarse")
        self._decisions = DecisionsWriter(self._file("decisions.parquet"))
        self._by_reason = np.zeros(len(Reason), np.int64)
        self._redacted: Counter[str] = Counter()
        self._unknown_words = self._foreign = self._per_row = 0

    def _file(self, name: str) -> DigestingFile:
        self._files[name] = self._sink.create(name)
        return self._files[name]

    def kept_any(self, *refused: NDArray[np.uint8]) -> bool:
        """True where a row of one of these subjects was kept in an earlier batch."""
        return any(
            len(subjects) > 0 and bool(self._duplicates.contains(Needles.of(subjects)).any())
            for subjects in refused
        )

    def take(self, prepared: Prepared) -> None:
        """Judge and write one batch."""
        reasons, drops = self._judge(prepared)
        self._by_reason += np.bincount(reasons, minlength=len(Reason))
        self._per_row += prepared.numbers.per_row
        if prepared.consent is not None:
            self._unknown_words += int((prepared.consent == ConsentCell.UNKNOWN).sum())
        phones = prepared.batch.cells[self._job.policy.column_with(Role.PHONE) or ""]
        self._foreign += looks_foreign(phones, prepared.reasons, self._job.policy.default_region)
        self._write(prepared, reasons, drops)

    def _judge(self, prepared: Prepared) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The primary reason and the drop bits of every row; a cell's or number's own reason comes first."""
        rows = np.flatnonzero(prepared.reasons == 0)
        subjects, blocks = prepared.subjects[rows], prepared.numbers.blocks[rows]
        with self._tools.meter("screening"):
            candidates = Candidates.of(subjects, blocks)
            bits = self._screening.screen(candidates)
            cells = None if prepared.consent is None else prepared.consent[rows]
            bits = weigh(bits, cells, self._job.policy.consent.evidence)
            bits = self._refusals.apply(bits, candidates.needles)
        with self._tools.meter("duplicates"):
            first = self._duplicates.first_seen(candidates.needles, bits == 0)
            bits[(bits == 0) & ~first] = Drop.DUPLICATE
        reasons, drops = prepared.reasons.copy(), np.zeros(len(prepared.reasons), np.uint8)
        reasons[rows], drops[rows] = primary_reasons(bits), bits
        return reasons, drops

    def _write(self, prepared: Prepared, reasons: NDArray[np.uint8], drops: NDArray[np.uint8]) -> None:
        kept = np.flatnonzero(reasons == 0)
        with self._tools.meter("tokens"):
            tokens = self._tokens.text(prepared.numbers.blocks[kept])
        with self._tools.meter("columns"):
            columns = [self._column(name, action, prepared.batch, kept) for name, action in self._written]
        with self._tools.meter("clean list"):
            self._clean.write(tokens, columns)
        records = prepared.batch.records
        with self._tools.meter("rejects"):
            self._rejects.write(records, reasons)
        with self._tools.meter("decisions"):
            self._decisions.write(records, prepared.subjects, reasons, drops)

    @property
    def _written(self) -> Iterable[tuple[str, Action]]:
        return self._job.policy.written_columns.items()

    def _column(self, name: str, action: Action, batch: CellBatch, kept: NDArray[np.int64]) -> pa.StringArray:
        cells = batch.cells.get(name)
        if cells is None:
            return pa.array([""] * len(kept), pa.string())
        context = ColumnContext(self._tools.keyring, self._job.policy.output.audience, name)
        protected, redacted = protect_column(cells.take(pa.array(kept)), action, context)
        self._redacted.update(redacted)
        return protected

    def finish(self, file: ListFile, digest: str) -> Manifest:
        """Complete the files and sum up."""
        with self._tools.meter("finish"):
            self._clean.finish()
            self._decisions.finish()
            for output in self._files.values():
                output.close()
        policy, counts = self._job.policy, counts_of(self._by_reason, self._redacted, self._per_row)
        rows = {"rejects.csv": self._rejects.rows, "decisions.parquet": counts.rows}
        seen = file.description
        return Manifest(
            list_id=self._job.list_id,
            upload=Upload(seen.bytes, digest, seen.format, seen.compression, seen.encoding, seen.delimiter),
            policy={"name": policy.name, "sha256": policy.sha256},
            engine={"version": __version__, "phonenumbers": load_plan().metadata_version},
            keys={
                "primary": self._tools.keyring.primary.id,
                "index": self._tools.keyring.index_key_id,
                "audience": policy.output.audience,
            },
            registry_as_of=_as_of(self._screening.standing),
            counts=counts,
            warnings=self._warnings(file, counts.rows),
            outputs=[
                OutputFile(name, output.sha256, output.size, rows.get(name, counts.kept))
                for name, output in self._files.items()
            ],
            started_at=self._job.started_at,
            finished_at=self._job.started_at,
        )

    def _warnings(self, file: ListFile, rows: int) -> list[Warned]:
        counted = {**file.warnings, "unknown_consent_words": self._unknown_words}
        if self._foreign > rows * FOREIGN_SHARE:
            counted["foreign_numbers"] = self._foreign
        return [Warned(code, count, WARNINGS[code]) for code, count in counted.items() if count]


def _as_of(standing: RegistryStanding) -> dict[str, object]:
    return {"change": standing.change, "snapshot": standing.snapshot, "registers": dict(standing.loaded_at)}


def _observer(digest: UploadDigest, tools: Tools) -> Callable[[bytes | memoryview], None]:
    def observe(content: bytes | memoryview) -> None:
        with tools.meter("upload digest"):
            digest.update(content)
        tools.progress(len(content))

    return observe


def _options(policy: Policy) -> ReadOptions:
    """How the file is read."""
    limits = Limits(
        max_bytes=policy.limits.max_bytes,
        max_rows=policy.limits.max_rows,
        max_columns=policy.limits.max_columns,
        max_cell_chars=policy.limits.max_cell_chars,
    )
    return ReadOptions(limits=limits, encoding=policy.encoding, sheet=policy.sheet)


def _wishes(policy: Policy) -> list[ColumnWish]:
    """The columns that the policy names, dropped ones too: one that the file lacks is a typo that leaks."""
    return [ColumnWish(name, rule.role, rule.headers, rule.optional) for name, rule in policy.columns.items()]
