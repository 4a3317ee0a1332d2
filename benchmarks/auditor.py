"""One run of `audit verify` or `audit report` in this process, for `audit.py`: what it printed and took.

python benchmarks/auditor.py verify|report FOLDER
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

from contact_sanitizer.cli.main import main as command
from memory import peak_mib


def main() -> None:
    """Print one JSON object: the processor's seconds in user mode, start included, and the peak memory."""
    word, folder = sys.argv[1:]
    printed = io.StringIO()
    key = f"{folder}/public-key"
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        sys.argv = ["contact-sanitizer", "audit", word, folder, "--public-key", key, "--json"]
        command()
    seconds = os.times().user
    said = json.loads(printed.getvalue())
    said.pop("made_at", None)
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib(), "said": said}))


if __name__ == "__main__":
    main()
