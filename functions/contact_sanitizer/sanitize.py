"""The main job: intake → phone → screening → protection → outputs.

A list is read once, batch by batch, and written as it is read. Only one thing looks back: a refusal that
stands further down in the file drops rows of the same number that were already kept. Then the rest of the
file is read for its refusals alone, and the list is made anew knowing all of them. So a list is read at
most twice, no row waits anywhere in the clear, and the common list is read once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer import __version__
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.consentcells import ConsentCell, consent_codes
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.listfile import ColumnWish, ListFile, ReadOptions, open_list
from contact_sanitizer.listid import ListId
from contact_sanitizer.outputs.listfiles import ListFiles
from contact_sanitizer.outputs.manifest import Counts, Manifest, OutputFile, Upload, Warned, counts_of
from contact_sanitizer.phone.foreign import looks_foreign
from contact_sanitizer.phone.normalize import Normalizer, Numbers
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.policy_words import Action, Role
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

if TYPE_CHECKING:
    from contact_sanitizer.policy import Policy

Item = TypeVar("Item")
Done = TypeVar("Done")

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
    """What the job works with.

    `progress` is told how many bytes of the upload were read since last time. `workers`: how many
    threads prepare and render batches beside the one that judges and writes; the bytes are the same.
    """

    registry: Registry
    keyring: Keyring
    normalizer: Normalizer
    progress: Callable[[int], None] = lambda _bytes: None
    meter: Meter = no_meter
    workers: int = 0


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


@dataclass(frozen=True, slots=True, repr=False)
class Judged:
    """A batch with its verdicts: each row's primary reason, and the bits of all drop reasons."""

    prepared: Prepared
    reasons: NDArray[np.uint8]
    drops: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, repr=False)
class Rendered:
    """A batch ready to be written: the kept rows' tokens and protected columns, and what was redacted."""

    judged: Judged
    tokens: NDArray[np.uint8]
    columns: list[pa.StringArray]
    redacted: Mapping[str, int]


def sanitize(upload: Path, job: Job, tools: Tools, sink: ListSink) -> Manifest:
    """Make the list of `upload` in `sink`, all but published, and return its manifest.

    Promises: every record of the file is in exactly one outcome; the same upload, policy, keys, registry
    state and list id give the same bytes. Raises the package's errors; then nothing may be published.
    """
    refusals = InFileRefusals(sink.scratch / "refusals")
    try:
        return _make(upload, job, tools, sink, refusals)
    except _LateRefusal:
        sink.restart()
        return _make(upload, job, tools, sink, refusals)


class _LateRefusal(Exception):  # noqa: N818 - no error: a turn that a list may take
    """A refusal came after a row of its number was kept; by now all refusals of the file are known."""


def _make(upload: Path, job: Job, tools: Tools, sink: ListSink, refusals: InFileRefusals) -> Manifest:
    """One reading of the file, from cells to written files; raises `_LateRefusal`."""
    policy, digest = job.policy, UploadDigest(tools.keyring)
    with (
        open_list(upload, _wishes(policy), _options(policy), observe=_observer(digest, tools)) as file,
        tools.registry.screening(job.rule, job.now) as screening,
        ThreadPoolExecutor(max(tools.workers, 1)) as pool,
    ):
        coarse = policy.reports.disclose == "coarse"
        files = ListFiles(sink.create, policy.output.format, list(policy.written_columns), coarse=coarse)
        judge = _Judge(job, tools, screening, refusals, DuplicateSet(sink.scratch / "kept"))
        renderer, tally = _Renderer(job, tools), _Tally(policy)
        prepared = ordered(pool, tools.workers, lambda batch: _prepare(batch, job, tools), _read(file, tools))
        for rendered in ordered(pool, tools.workers, renderer.render, judge.verdicts(prepared)):
            tally.count(rendered)
            _write(rendered, files, tools)
        with tools.meter("finish"):
            outputs = files.finish()
        return _manifest(job, tools, file, digest, screening.standing, tally, outputs)


def ordered(
    pool: ThreadPoolExecutor, workers: int, work: Callable[[Item], Done], items: Iterable[Item]
) -> Iterator[Done]:
    """`work` done on each item, in the items' order; with workers some items ahead of the one asked for."""
    if not workers:
        yield from map(work, items)
        return
    ahead: deque[Future[Done]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        for future in ahead:
            future.cancel()


def _read(file: ListFile, tools: Tools) -> Iterator[CellBatch]:
    batches = file.batches()
    while True:
        with tools.meter("intake"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


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


@dataclass(frozen=True, slots=True)
class _Judge:
    """Gives verdicts in row order: registry, consent cells, the file's own refusals, duplicates."""

    job: Job
    tools: Tools
    screening: Screening
    refusals: InFileRefusals
    duplicates: DuplicateSet

    def verdicts(self, batches: Iterable[Prepared]) -> Iterator[Judged]:
        """The verdicts on each batch; `_LateRefusal` once the file was read for the rest of its refusals."""
        late = False
        for prepared in batches:
            said = (prepared.noted, prepared.withdrawn)
            self.refusals.learn(*said)
            late = late or any(self._kept_before(subjects) for subjects in said)
            if not late:
                yield self._judge(prepared)
        if late:
            raise _LateRefusal

    def _kept_before(self, subjects: NDArray[np.uint8]) -> bool:
        return len(subjects) > 0 and bool(self.duplicates.contains(Needles.of(subjects)).any())

    def _judge(self, prepared: Prepared) -> Judged:
        """A cell's or number's own reason comes first; only good numbers are looked up."""
        rows = np.flatnonzero(prepared.reasons == 0)
        with self.tools.meter("screening"):
            candidates = Candidates.of(prepared.subjects[rows], prepared.numbers.blocks[rows])
            bits = self.screening.screen(candidates)
            cells = None if prepared.consent is None else prepared.consent[rows]
            bits = weigh(bits, cells, self.job.policy.consent.evidence)
            bits = self.refusals.apply(bits, candidates.needles)
        with self.tools.meter("duplicates"):
            first = self.duplicates.first_seen(candidates.needles, bits == 0)
            bits[(bits == 0) & ~first] = Drop.DUPLICATE
        reasons, drops = prepared.reasons.copy(), np.zeros(len(prepared.reasons), np.uint8)
        reasons[rows], drops[rows] = primary_reasons(bits), bits
        return Judged(prepared, reasons, drops)


class _Renderer:
    """Makes tokens and protects columns, for kept rows only."""

    def __init__(self, job: Job, tools: Tools) -> None:
        self._tools = tools
        self._audience = job.policy.output.audience
        self._columns = job.policy.written_columns
        self._tokens = TokenMaker(tools.keyring, self._audience)

    def render(self, judged: Judged) -> Rendered:
        """A batch ready to be written."""
        kept = np.flatnonzero(judged.reasons == 0)
        with self._tools.meter("tokens"):
            tokens = self._tokens.text(judged.prepared.numbers.blocks[kept])
        redacted: Counter[str] = Counter()
        with self._tools.meter("columns"):
            columns = []
            for name, action in self._columns.items():
                cells, found = self._protected(name, action, judged.prepared.batch, kept)
                columns.append(cells)
                redacted.update(found)
        return Rendered(judged, tokens, columns, redacted)

    def _protected(
        self, name: str, action: Action, batch: CellBatch, kept: NDArray[np.int64]
    ) -> tuple[pa.StringArray, Mapping[str, int]]:
        if name not in batch.cells:
            return pa.array([""] * len(kept), pa.string()), {}
        context = ColumnContext(self._tools.keyring, self._audience, name)
        return protect_column(batch.cells[name].take(pa.array(kept)), action, context)


def _write(rendered: Rendered, files: ListFiles, tools: Tools) -> None:
    judged, prepared = rendered.judged, rendered.judged.prepared
    with tools.meter("clean list"):
        files.write_clean(rendered.tokens, rendered.columns)
    with tools.meter("rejects"):
        files.write_rejects(prepared.batch.records, judged.reasons)
    with tools.meter("decisions"):
        files.write_decisions(prepared.batch.records, prepared.subjects, judged.reasons, judged.drops)


class _Tally:
    """Counts what the manifest tells."""

    def __init__(self, policy: Policy) -> None:
        self._phone = policy.column_with(Role.PHONE) or ""
        self._region = policy.default_region
        self._by_reason = np.zeros(len(Reason), np.int64)
        self._redacted: Counter[str] = Counter()
        self._per_row = self._unknown_words = self._foreign = 0

    def count(self, rendered: Rendered) -> None:
        """Take in one batch."""
        judged, prepared = rendered.judged, rendered.judged.prepared
        self._by_reason += np.bincount(judged.reasons, minlength=len(Reason))
        self._redacted.update(rendered.redacted)
        self._per_row += prepared.numbers.per_row
        self._foreign += looks_foreign(prepared.batch.cells[self._phone], prepared.reasons, self._region)
        if prepared.consent is not None:
            self._unknown_words += int((prepared.consent == ConsentCell.UNKNOWN).sum())

    @property
    def counts(self) -> Counts:
        """Rows by outcome."""
        return counts_of(self._by_reason, self._redacted, self._per_row)

    def warnings(self, of_file: Mapping[str, int]) -> list[Warned]:
        """What a person should look at."""
        counted = {**of_file, "unknown_consent_words": self._unknown_words}
        if self._foreign > self._by_reason.sum() * FOREIGN_SHARE:
            counted["foreign_numbers"] = self._foreign
        return [Warned(code, count, WARNINGS[code]) for code, count in counted.items() if count]


def _manifest(
    job: Job,
    tools: Tools,
    file: ListFile,
    digest: UploadDigest,
    standing: RegistryStanding,
    tally: _Tally,
    outputs: list[OutputFile],
) -> Manifest:
    policy, seen = job.policy, file.description
    return Manifest(
        list_id=job.list_id,
        upload=Upload(
            seen.bytes, digest.hexdigest(), seen.format, seen.compression, seen.encoding, seen.delimiter
        ),
        policy={"name": policy.name, "sha256": policy.sha256},
        engine={"version": __version__, "phonenumbers": load_plan().metadata_version},
        keys={
            "primary": tools.keyring.primary.id,
            "index": tools.keyring.index_key_id,
            "audience": policy.output.audience,
        },
        registry_as_of={
            "change": standing.change,
            "snapshot": standing.snapshot,
            "registers": dict(standing.loaded_at),
        },
        counts=tally.counts,
        warnings=tally.warnings(file.warnings),
        outputs=outputs,
        started_at=job.started_at,
        finished_at=job.started_at,
    )


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
