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
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from contact_sanitizer import __version__
from contact_sanitizer.batches import (
    FOREIGN,
    UNKNOWN_WORDS,
    UNNAMED_CONSENT,
    UNNAMED_REFUSAL,
    Judge,
    LateRefusal,
    Renderer,
    prepare,
)
from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.headers import known_headers, known_role
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.listfile import ColumnWish, ListFile, ListSource, ReadOptions, open_list
from contact_sanitizer.job import Job, Tools
from contact_sanitizer.outputs.listfiles import ListFiles
from contact_sanitizer.outputs.manifest import Counts, Manifest, OutputFile, Upload, Warned, counts_of
from contact_sanitizer.outputs.settled import Settled
from contact_sanitizer.phone.plan import load_plan
from contact_sanitizer.policy_words import Role
from contact_sanitizer.ports import ListSink
from contact_sanitizer.protection.digests import UploadDigest
from contact_sanitizer.reasons import Reason
from contact_sanitizer.screening.duplicates import DuplicateSet
from contact_sanitizer.screening.infile import InFileRefusals
from contact_sanitizer.screening.recording import RegistryStanding

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
    UNKNOWN_WORDS: "consent cells hold words that are neither yes nor no; they are no consent",
    FOREIGN: "many refused cells look like Chinese mobiles: is the default region right?",
}


def sanitize(upload: ListSource, job: Job, tools: Tools, sink: ListSink) -> Manifest:
    """Make the list of `upload` in `sink`, all but published, and return its manifest.

    Promises: every record of the file is in exactly one outcome; the same upload, policy, keys, registry
    state and list id give the same bytes. Raises the package's errors; then nothing may be published.
    """
    refusals, parts = InFileRefusals(sink.scratch / "refusals"), tools.parts
    if not parts.recall_refusals(refusals):
        try:
            return _make(upload, job, tools, sink, refusals)
        except LateRefusal:
            sink.restart()
            parts.keep_refusals(refusals)
    return _make(upload, job, tools, sink, refusals)


def _make(upload: ListSource, job: Job, tools: Tools, sink: ListSink, refusals: InFileRefusals) -> Manifest:
    """One reading of the file, from cells to written files; raises `LateRefusal`."""
    policy, digest = job.policy, UploadDigest(tools.keyring)
    with (
        open_list(upload, _wishes(policy), _options(policy), observe=_observer(digest, tools)) as file,
        tools.registry.screening(job.rule, job.now, job.change, job.snapshot) as screening,
        DuplicateSet(sink.scratch / "kept") as duplicates,
        ThreadPoolExecutor(max(tools.workers, 1)) as pool,
    ):
        coarse = policy.reports.disclose == "coarse"
        files = ListFiles(sink.create, policy.output.format, list(policy.written_columns), coarse=coarse)
        judge = Judge(job, tools, screening, refusals, duplicates)
        renderer, tally = Renderer(job, tools), _Tally()
        batches = _read(file, tools)
        for settled in tools.parts.settled():
            next(batches)  # read all the same: the upload's digest and the reader's warnings need it
            judge.recall(settled)
            tally.count(settled)
            _write(settled, files, tools)
        prepared = ordered(pool, tools.workers, lambda batch: prepare(batch, job, tools), batches)
        for settled in ordered(pool, tools.workers, renderer.render, judge.verdicts(prepared)):
            tools.parts.keep(settled)
            tally.count(settled)
            _write(settled, files, tools)
            # one batch after the other in memory: here and in the generators behind, what is done with goes
            del settled
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
        del batch


def _write(settled: Settled, files: ListFiles, tools: Tools) -> None:
    with tools.meter("clean list"):
        files.write_clean(settled.tokens, settled.columns)
    with tools.meter("rejects"):
        files.write_rejects(settled.records, settled.reasons)
    with tools.meter("decisions"):
        files.write_decisions(settled.records, settled.subjects, settled.reasons, settled.drops)


class _Tally:
    """Counts what the manifest tells."""

    def __init__(self) -> None:
        self._by_reason = np.zeros(len(Reason), np.int64)
        self._redacted: Counter[str] = Counter()
        self._others: Counter[str] = Counter()

    def count(self, settled: Settled) -> None:
        """Take in one batch."""
        self._by_reason += np.bincount(settled.reasons, minlength=len(Reason))
        self._redacted.update(settled.redacted)
        self._others.update(settled.counts)

    @property
    def counts(self) -> Counts:
        """Rows by outcome."""
        return counts_of(self._by_reason, self._redacted, self._others["per_row"])

    def warnings(self, of_file: Mapping[str, int]) -> list[Warned]:
        """What a person should look at."""
        counted = {**of_file, UNKNOWN_WORDS: self._others[UNKNOWN_WORDS]}
        if self._others[FOREIGN] > self._by_reason.sum() * FOREIGN_SHARE:
            counted[FOREIGN] = self._others[FOREIGN]
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
    named = [
        ColumnWish(name, rule.role, rule.headers, rule.optional) for name, rule in policy.columns.items()
    ]
    # A refusal in the file counts also where the policy does not speak of its column. Each header has a wish
    # of its own: a file may say in one column who unsubscribed and in another who is on the blocklist.
    headers = sorted(known_headers(Role.REFUSAL))
    named += [
        ColumnWish(f"{UNNAMED_REFUSAL} {header}", Role.REFUSAL, (header,), optional=True)
        for header in headers
    ]
    if policy.column_with(Role.CONSENT) or any(_may_be_consent(wish) for wish in named):
        return named
    return [*named, ColumnWish(UNNAMED_CONSENT, Role.CONSENT, optional=True)]


def _may_be_consent(wish: ColumnWish) -> bool:
    return any(known_role(header) is Role.CONSENT for header in (wish.name, *wish.headers))
