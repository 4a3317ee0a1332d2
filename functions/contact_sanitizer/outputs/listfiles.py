"""The files of one list, written together, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contact_sanitizer.outputs.clean import clean_writer
from contact_sanitizer.outputs.decisions import DecisionsWriter
from contact_sanitizer.outputs.digesting import DigestingFile
from contact_sanitizer.outputs.manifest import OutputFile
from contact_sanitizer.outputs.rejects import RejectsWriter
from contact_sanitizer.protection.digests import note_digest

REJECTS = "rejects.csv"
DECISIONS = "decisions.parquet"


class ListFiles:
    """Clean list, rejects and decisions. Batches in order in, rows in order out.

    `create` makes a new file of the list; `coarse`: what the uploader may read hides what others know.
    """

    def __init__(
        self,
        create: Callable[[str], DigestingFile],
        clean_format: str,
        columns: Sequence[str],
        *,
        coarse: bool,
    ) -> None:
        names = (f"clean.{clean_format}", REJECTS, DECISIONS)
        self._files = {name: create(name) for name in names}
        clean, rejects, decisions = self._files.values()
        self._beside = note_digest()
        clean.take_beside(self._beside)
        self._clean = clean_writer(clean_format, clean, columns)
        self._rejects = RejectsWriter(rejects, coarse=coarse)
        self._decisions = DecisionsWriter(decisions)
        self._rows = dict.fromkeys(names, 0)

    def write_clean(self, tokens: NDArray[np.uint8], columns: Sequence[pa.StringArray]) -> None:
        """Append the kept rows of a batch; see `CleanWriter.write`."""
        self._clean.write(tokens, columns)
        self._rows[next(iter(self._rows))] += len(tokens)

    def write_rejects(self, records: NDArray[np.int64], reasons: NDArray[np.uint8]) -> None:
        """Append the rows of a batch that are not kept; see `RejectsWriter.write`."""
        self._rejects.write(records, reasons)
        self._rows[REJECTS] = self._rejects.rows

    def write_decisions(
        self,
        records: NDArray[np.int64],
        subjects: NDArray[np.uint8],
        reasons: NDArray[np.uint8],
        drops: NDArray[np.uint8],
    ) -> None:
        """Append all rows of a batch; see `DecisionsWriter.write`."""
        self._decisions.write(records, subjects, reasons, drops)
        self._rows[DECISIONS] += len(records)

    def finish(self) -> list[OutputFile]:
        """Complete the files, put them on disk, and say what they hold."""
        self._clean.finish()
        self._decisions.finish()
        for file in self._files.values():
            file.close()
        (name, clean), *others = self._files.items()
        return [
            OutputFile.clean(name, clean, self._beside, self._rows[name]),
            *(OutputFile(name, file.sha256, file.size, self._rows[name]) for name, file in others),
        ]
