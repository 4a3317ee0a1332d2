"""What people write today: `csv`, `phonenumbers`, HMAC and sets, row by row.

    python benchmarks/naive.py LIST CONSENTED SUPPRESSED OUT REGION

CONSENTED and SUPPRESSED hold one HMAC in hex a line. It writes `clean.csv` and `rejects.csv` and prints
the seconds spent on the rows (loading the sets is not counted) and the rows kept.
"""

from __future__ import annotations

import csv
import hashlib
import hmac
import json
import sys
import time
from pathlib import Path

import phonenumbers

from memory import peak_mib

KEY = bytes(32)
MOBILE = {phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE}


def e164(cell: str, region: str) -> str | None:
    """The cell as an E.164 mobile number of the region, or None."""
    try:
        number = phonenumbers.parse(cell.removesuffix(".0"), region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in MOBILE:
        return None
    if phonenumbers.region_code_for_number(number) != region:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def main() -> None:
    """Sanitize one list."""
    source, consented_file, suppressed_file, out = map(Path, sys.argv[1:5])
    region = sys.argv[5]
    consented = set(consented_file.read_text().split())
    suppressed = set(suppressed_file.read_text().split())
    seen: set[str] = set()
    out.mkdir(parents=True, exist_ok=True)
    kept = rows = 0
    started = time.perf_counter()
    with (
        source.open(newline="", encoding="utf-8") as file,
        (out / "clean.csv").open("w", newline="", encoding="utf-8") as clean_file,
        (out / "rejects.csv").open("w", newline="", encoding="utf-8") as rejects_file,
    ):
        reader, clean, rejects = csv.reader(file), csv.writer(clean_file), csv.writer(rejects_file)
        header = next(reader)
        phone, city = header.index("手机号"), header.index("城市")
        clean.writerow(["token", "city"])
        rejects.writerow(["row", "reason"])
        for rows, row in enumerate(reader, 1):
            number = e164(row[phone], region)
            if number is None:
                rejects.writerow([rows + 1, "invalid"])
                continue
            digest = hmac.new(KEY, number.encode(), hashlib.sha256).hexdigest()
            if digest in suppressed or digest not in consented or digest in seen:
                rejects.writerow([rows + 1, "not_contactable"])
                continue
            seen.add(digest)
            clean.writerow([digest, row[city]])
            kept += 1
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "rows": rows, "kept": kept, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
