"""The main job on the sample lists, as a user would run it; prints what it did and where everything lies."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLACE = HERE.parent / "demo-out"
COMMAND = str(Path(sys.executable).parent / "contact-sanitizer")


def shown(arguments: list[str]) -> list[str]:
    """The arguments with paths as a reader of the repository would type them."""
    return [argument.replace(f"{HERE.parent}/", "") for argument in arguments]


def run(*arguments: str) -> None:
    """Run one command in the open, and stop where it fails."""
    print(f"\n$ contact-sanitizer {' '.join(shown(list(arguments)))}", flush=True)
    subprocess.run([COMMAND, "--home", str(PLACE / "home"), *arguments], check=True)


def newest_list() -> Path:
    """The folder of the list that was made last."""
    return max(path for path in (PLACE / "lists").iterdir() if not path.name.startswith("."))


def head(path: Path, lines: int = 3) -> None:
    """The header and the first lines of a file."""
    print(f"\n{path.relative_to(HERE.parent)}:")
    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(lines + 1), file, strict=False):
            print(f"  {line.rstrip()}")


def main() -> None:
    """Import consents and blocklist, sanitize both lists, show the results."""
    shutil.rmtree(PLACE, ignore_errors=True)
    policy = ["--policy", str(HERE / "policy.yaml"), "--out", str(PLACE / "lists")]
    run("consent", "import", str(HERE / "consents.csv"))
    run("block", "import", str(HERE / "blocklist.csv"))
    run("run", str(HERE / "contacts.csv"), *policy)
    made = newest_list()
    head(made / "clean.csv")
    head(made / "rejects.csv")
    run("run", str(HERE / "contacts.xlsx"), *policy)
    manifests = [json.loads((path / "manifest.json").read_text()) for path in (made, newest_list())]
    kept = [manifest["counts"]["kept"] for manifest in manifests]
    print(f"\nThe same people: {kept[0]} kept from the CSV, {kept[1]} from the workbook.")
    print(f"Everything lies in {PLACE.name}/: the lists in lists/, keys, registry and audit log in home/.")


if __name__ == "__main__":
    main()
