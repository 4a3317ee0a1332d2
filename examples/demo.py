"""The sample lists on their way: sanitized, delivered, redeemed, recalled, audited, as people would do it."""

from __future__ import annotations

import csv
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


def run(*arguments: str, said: str | None = None) -> str:
    """Run one command in the open, on what is `said` to it, and stop where it fails; what it printed."""
    print(f"\n$ contact-sanitizer {' '.join(shown(list(arguments)))}", flush=True)
    command = [COMMAND, "--home", str(PLACE / "home"), *arguments]
    done = subprocess.run(command, check=True, input=said, stdout=subprocess.PIPE, encoding="utf-8")
    print(done.stdout, end="", flush=True)
    return done.stdout


def newest_list() -> Path:
    """The folder of the list that was made last."""
    return max(path for path in (PLACE / "lists").iterdir() if not path.name.startswith("."))


def head(path: Path, lines: int = 3) -> None:
    """The header and the first lines of a file."""
    print(f"\n{path.relative_to(HERE.parent)}:")
    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(lines + 1), file, strict=False):
            print(f"  {line.rstrip()}")


def deliver(made: Path) -> None:
    """A sender fetches the list and redeems tokens; somebody refuses meanwhile; the reviewer looks."""
    fetched = PLACE / "for-gateway.csv"
    terms = ("--purpose", "marketing")
    run("senders", "add", "gateway", "--licence", "B2-EXAMPLE", "--until", "2099-12-31", *terms)
    told = run("deliver", made.name, "--to", "gateway", *terms, "--out", str(fetched), "--json")
    head(fetched)
    with fetched.open(encoding="utf-8", newline="") as file:
        tokens = "".join(row["token"] + "\n" for _, row in zip(range(2), csv.DictReader(file), strict=False))
    redeem = ("redeem", "--as", "gateway", *terms)
    first = json.loads(run(*redeem, said=tokens).splitlines()[0])
    print("\nThe first of them replies TD: from now on nobody opens that token, and the sender is told.")
    run("optout", "TD", "--from", "-", said=first["phone"])
    run(*redeem, said=tokens)
    run("recalls", json.loads(told)["delivery"])
    run("audit", "verify", "--lists", str(PLACE / "lists"))
    run("audit", "report", "--html", str(PLACE / "report.html"))


def main() -> None:
    """Import consents and blocklist, sanitize both lists, deliver one, show the results."""
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
    deliver(made)
    print(f"\nEverything lies in {PLACE.name}/: the lists in lists/, keys, registry and audit log in home/.")
    print(f"For the reviewer there is a page: {PLACE.name}/report.html")


if __name__ == "__main__":
    main()
