"""The manifest of one list: what came in, under which rules, what went out, and how many of each.

`rows = kept + dropped + rejected`, and the values of `by_reason` add up to `dropped + rejected`.
It holds no cell, no phone and no file name. For the operator and security: the uploader's own
report is `rejects.csv`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.errors import OutputError
from contact_sanitizer.reasons import Reason

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from contact_sanitizer.outputs.digesting import Digest, DigestingFile

FORMAT: Final = "contact-sanitizer/manifest/v1"


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by outcome; `per_row` are those that the vector path could not decide."""

    rows: int
    kept: int
    dropped: int
    rejected: int
    by_reason: Mapping[str, int]
    redacted: Mapping[str, int]
    per_row: int


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file of the list; `blake3`: of what each delivery reads, a digest at a tenth of the time."""

    name: str
    sha256: str
    bytes: int
    rows: int
    blake3: str = ""

    @classmethod
    def clean(cls, name: str, file: DigestingFile, beside: Digest, rows: int) -> OutputFile:
        """The clean list, written to `file`, with what `beside` made of it."""
        return cls(name, file.sha256, file.size, rows, beside.hexdigest())


@dataclass(frozen=True, slots=True)
class Upload:
    """The uploaded file: its size, a digest under the tenant's key, and how it was read."""

    bytes: int
    digest: str
    format: str
    compression: str
    encoding: str | None
    delimiter: str | None


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that a person should look at; `code` is stable."""

    code: str
    count: int
    message: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """See the module; times are milliseconds since 1970 UTC.

    `erased`: rows that were taken out of the clean list since, for their people were erased; `counts` stay
    those of the job.
    """

    list_id: str
    upload: Upload
    policy: Mapping[str, str]
    engine: Mapping[str, str]
    keys: Mapping[str, Any]
    registry_as_of: Mapping[str, Any]
    counts: Counts
    warnings: Sequence[Warned]
    outputs: Sequence[OutputFile]
    started_at: int
    finished_at: int
    erased: int = 0

    def document(self) -> dict[str, Any]:
        """The manifest as the JSON object that is written."""
        stated = {"format": FORMAT, **asdict(self)}
        for moment in ("started_at", "finished_at"):
            stated[moment] = rfc3339(stated[moment])
        if not self.erased:
            del stated["erased"]
        for output in stated["outputs"]:
            if not output["blake3"]:
                del output["blake3"]
        return stated

    def encode(self) -> bytes:
        """The bytes of `manifest.json`."""
        return json.dumps(self.document(), ensure_ascii=False, indent=2).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Manifest:
        """The manifest whose `encode` gives these bytes; `OutputError` (`list_damaged`) for any others."""
        try:
            stated = {name: value for name, value in json.loads(data).items() if name != "format"}
            manifest = cls(**(stated | _parts(stated)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise _damaged() from None
        if manifest.encode() != data:
            raise _damaged()
        return manifest


def _parts(stated: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "upload": Upload(**stated["upload"]),
        "counts": Counts(**stated["counts"]),
        "warnings": [Warned(**warned) for warned in stated["warnings"]],
        "outputs": [OutputFile(**output) for output in stated["outputs"]],
        "started_at": _milliseconds(stated["started_at"]),
        "finished_at": _milliseconds(stated["finished_at"]),
    }


def _milliseconds(moment: str) -> int:
    since = datetime.fromisoformat(moment) - datetime.fromtimestamp(0, UTC)
    return since // timedelta(milliseconds=1)


def _damaged() -> OutputError:
    return OutputError("list_damaged", "the list's manifest is not one that was written here")


def rfc3339(at: int) -> str:
    """A moment in milliseconds as `2026-01-31T08:15:00.250Z`."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def counts_of(by_value: NDArray[np.int64], redacted: Mapping[str, int], per_row: int) -> Counts:
    """Counts from the number of rows with each primary reason (index: the `Reason`'s value)."""
    reasons = [(reason, int(by_value[reason])) for reason in Reason if reason and by_value[reason]]
    dropped = sum(count for reason, count in reasons if reason.drops)
    rejected = sum(count for reason, count in reasons if not reason.drops)
    return Counts(
        rows=int(by_value.sum()),
        kept=int(by_value[Reason.NONE]),
        dropped=dropped,
        rejected=rejected,
        by_reason={reason.word: count for reason, count in reasons},
        redacted=dict(redacted),
        per_row=per_row,
    )
