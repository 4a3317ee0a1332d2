"""What happens to one batch: prepared by itself, judged in its turn, rendered by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.intake.batch import CellBatch
from contact_sanitizer.intake.consentcells import ConsentCell, consent_codes, refused
from contact_sanitizer.job import Job, Tools
from contact_sanitizer.outputs.settled import Settled
from contact_sanitizer.phone.foreign import looks_foreign
from contact_sanitizer.phone.normalize import Numbers
from contact_sanitizer.policy_words import Action, Role
from contact_sanitizer.ports import Screening
from contact_sanitizer.protection.columns import ColumnContext, protect_column
from contact_sanitizer.protection.slabs import rows_of
from contact_sanitizer.protection.subjects import subjects as subjects_of
from contact_sanitizer.protection.tokens import TokenMaker
from contact_sanitizer.screening.duplicates import DuplicateSet
from contact_sanitizer.screening.evidence import weigh
from contact_sanitizer.screening.infile import InFileRefusals
from contact_sanitizer.screening.recording import Candidates
from contact_sanitizer.screening.subjectruns import Needles
from contact_sanitizer.screening.verdict import Drop, primary_reasons

if TYPE_CHECKING:
    from contact_sanitizer.policy import Policy

FOREIGN = "foreign_numbers"
UNKNOWN_WORDS = "unknown_consent_words"
"""Of the counts of a batch, those that are warnings."""
UNNAMED_CONSENT = "(consent)"
"""How a batch calls a consent column that the file has and the policy does not name."""
UNNAMED_REFUSAL = "(refusal)"
"""How the names begin by which a batch calls refusal columns that the policy does not name."""


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """A batch after the steps that look at one row at a time: cells, numbers, subjects, consent cells.

    `noted` and `withdrawn` (k, 16): the subjects of all numbers that stand beside an opt-out note, or beside
    a consent cell that says no or a refusal cell that says yes; also of numbers in cells that are no use
    otherwise.
    """

    batch: CellBatch
    numbers: Numbers
    reasons: NDArray[np.uint8]
    subjects: NDArray[np.uint8]
    consent: NDArray[np.uint8] | None
    noted: NDArray[np.uint8]
    withdrawn: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, repr=False)
class Judged:
    """A batch with its verdicts: each row's primary reason, and the bits of all drop reasons."""

    prepared: Prepared
    reasons: NDArray[np.uint8]
    drops: NDArray[np.uint8]


class LateRefusal(Exception):  # noqa: N818 - no error: a turn that a list may take
    """A refusal came after a row of its number was kept; by now all refusals of the file are known."""


def prepare(batch: CellBatch, job: Job, tools: Tools) -> Prepared:
    """The steps that need nothing but the batch itself."""
    phone = job.policy.column_with(Role.PHONE) or ""
    consent = job.policy.column_with(Role.CONSENT) or UNNAMED_CONSENT
    with tools.meter("phone"):
        numbers = tools.normalizer.normalize(batch.cells[phone])
        reasons = np.where(batch.flaws > 0, batch.flaws, numbers.reasons).astype(np.uint8)
    with tools.meter("subjects"):
        stated = numbers.blocks[:, 0] != 0
        subjects = subjects_of(numbers.blocks, tools.keyring)
        subjects[~stated] = 0
        noted = subjects_of(numbers.refused, tools.keyring)
    with tools.meter("consent cells"):
        codes = None
        refusals = [refused(batch.cells[name]) for name in refusal_columns(job.policy, batch)]
        if consent in batch.cells:
            codes = consent_codes(batch.cells[consent], job.now, job.policy.consent.max_age_days)
            refusals.append(codes == ConsentCell.NO)
        if not refusals:
            return Prepared(batch, numbers, reasons, subjects, None, noted, subjects[:0])
        said_no = np.any(refusals, axis=0)
        unusable = batch.cells[phone].take(pa.array(np.flatnonzero(said_no & (reasons != 0))))
        beside = subjects_of(tools.normalizer.stated(unusable), tools.keyring)
        withdrawn = np.concatenate([subjects[np.flatnonzero(said_no & (reasons == 0))], beside])
    return Prepared(batch, numbers, reasons, subjects, codes, noted, withdrawn)


def refusal_columns(policy: Policy, batch: CellBatch) -> list[str]:
    """The batch's columns of refusals: those that the policy names, and those known by their headers."""
    named = {name for name, rule in policy.columns.items() if rule.role is Role.REFUSAL}
    return [name for name in batch.cells if name in named or name.startswith(UNNAMED_REFUSAL)]


@dataclass(frozen=True, slots=True)
class Judge:
    """Gives verdicts in row order: registry, consent cells, the file's own refusals, duplicates."""

    job: Job
    tools: Tools
    screening: Screening
    refusals: InFileRefusals
    duplicates: DuplicateSet

    def verdicts(self, batches: Iterable[Prepared]) -> Iterator[Judged]:
        """The verdicts on each batch; `LateRefusal` once the file was read for the rest of its refusals."""
        late = False
        for prepared in batches:
            said = (prepared.noted, prepared.withdrawn)
            self.refusals.learn(*said)
            late = late or any(self._kept_before(subjects) for subjects in said)
            if not late:
                yield self._judge(prepared)
            del prepared
        if late:
            raise LateRefusal

    def recall(self, settled: Settled) -> None:
        """Takes in a batch that an earlier attempt has settled."""
        self.refusals.learn(settled.noted, settled.withdrawn)
        self.duplicates.add(rows_of(settled.subjects, np.flatnonzero(settled.reasons == 0)))

    def _kept_before(self, subjects: NDArray[np.uint8]) -> bool:
        return len(subjects) > 0 and bool(self.duplicates.contains(Needles.of(subjects)).any())

    def _judge(self, prepared: Prepared) -> Judged:
        """A cell's or number's own reason comes first; only good numbers are looked up."""
        rows = np.flatnonzero(prepared.reasons == 0)
        with self.tools.meter("screening"):
            candidates = Candidates.of(
                rows_of(prepared.subjects, rows), rows_of(prepared.numbers.blocks, rows)
            )
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


class Renderer:
    """Makes tokens and protects columns, for kept rows only."""

    def __init__(self, job: Job, tools: Tools) -> None:
        self._tools = tools
        self._audience = job.policy.output.audience
        self._columns = job.policy.written_columns
        self._phone = job.policy.column_with(Role.PHONE) or ""
        self._region = job.policy.default_region
        self._tokens = TokenMaker(tools.keyring, self._audience)

    def render(self, judged: Judged) -> Settled:
        """A batch ready to be written."""
        prepared = judged.prepared
        kept = np.flatnonzero(judged.reasons == 0)
        with self._tools.meter("tokens"):
            tokens = self._tokens.text(rows_of(prepared.numbers.blocks, kept))
        redacted: Counter[str] = Counter()
        with self._tools.meter("columns"):
            columns = []
            for name, action in self._columns.items():
                cells, found = self._protected(name, action, prepared.batch, kept)
                columns.append(cells)
                redacted.update(found)
        return Settled(
            prepared.batch.records,
            prepared.subjects,
            judged.reasons,
            judged.drops,
            tokens,
            columns,
            prepared.noted,
            prepared.withdrawn,
            redacted,
            self._counts(prepared),
        )

    def _counts(self, prepared: Prepared) -> dict[str, int]:
        foreign = looks_foreign(prepared.batch.cells[self._phone], prepared.reasons, self._region)
        unknown = 0 if prepared.consent is None else int((prepared.consent == ConsentCell.UNKNOWN).sum())
        return {"per_row": prepared.numbers.per_row, FOREIGN: foreign, UNKNOWN_WORDS: unknown}

    def _protected(
        self, name: str, action: Action, batch: CellBatch, kept: NDArray[np.int64]
    ) -> tuple[pa.StringArray, Mapping[str, int]]:
        if name not in batch.cells:
            return pa.array([""] * len(kept), pa.string()), {}
        context = ColumnContext(self._tools.keyring, self._audience, name)
        return protect_column(batch.cells[name].take(pa.array(kept)), action, context)
