"""How much of a file is read before it is refused."""

from __future__ import annotations

from dataclasses import dataclass, fields

from contact_sanitizer.errors import IntakeError

HARD_CELL_CHARS = 1 << 20
"""A cell above this refuses the file: no list has one, and reading on would only spend memory."""

HARD_RECORD_BYTES = 64 << 20
"""A record above this refuses the file, however many cells share it."""

RATIO_FLOOR_BYTES = 10 << 20
"""Below this much inflated text the ratio says nothing: short repetitive files compress well."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. Each field is a ceiling that the file may reach but not pass.

    Sizes are bytes; `max_ratio` is inflated bytes for each compressed byte. `max_cell_chars` flags a
    record, `HARD_CELL_CHARS` refuses the file; every other limit refuses the file.
    """

    max_bytes: int = 5 * 10**9
    max_inflated_bytes: int = 20 * 10**9
    max_ratio: int = 200
    max_rows: int = 100_000_000
    max_columns: int = 512
    max_cell_chars: int = 32_767
    max_header_chars: int = 1_000
    max_sheet_cells: int = 30_000_000

    def __post_init__(self) -> None:
        if any(getattr(self, field.name) < 1 for field in fields(self)):
            raise AssertionError("a limit below one would refuse every file")

    def check_bytes(self, size: int) -> None:
        """Raises `limit_bytes` where a file of `size` bytes is too large."""
        if size > self.max_bytes:
            raise IntakeError("limit_bytes", f"the file is larger than {self.max_bytes} bytes (max_bytes)")

    def check_inflated(self, inflated: int, compressed: int) -> None:
        """Raises `limit_inflated_bytes` or `limit_ratio` for what came out of so many compressed bytes."""
        if inflated > self.max_inflated_bytes:
            raise IntakeError(
                "limit_inflated_bytes",
                f"the file inflates to more than {self.max_inflated_bytes} bytes (max_inflated_bytes)",
            )
        if inflated > RATIO_FLOOR_BYTES and inflated > compressed * self.max_ratio:
            raise IntakeError(
                "limit_ratio", f"the file inflates to more than {self.max_ratio} times its size (max_ratio)"
            )

    def check_columns(self, count: int) -> None:
        """Raises `limit_columns` where a record has too many cells."""
        if count > self.max_columns:
            raise IntakeError(
                "limit_columns", f"the file has more than {self.max_columns} columns (max_columns)"
            )

    def check_rows(self, count: int) -> None:
        """Raises `limit_rows` where so many records are too many."""
        if count > self.max_rows:
            raise IntakeError("limit_rows", f"the file has more than {self.max_rows} rows (max_rows)")


def cell_too_long(record: int) -> IntakeError:
    """The refusal for a cell above the hard cap in the record of this number."""
    return IntakeError(
        "limit_cell_chars",
        f"record {record} has a cell longer than {HARD_CELL_CHARS} characters (hard cap of max_cell_chars)",
    )
