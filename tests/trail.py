"""What tests look at in an audit log: its events, and where its files lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contact_sanitizer.audit.reading import all_entries
from contact_sanitizer.embedded.objectfolder import ObjectFolder


def events(home: Path) -> list[dict[str, Any]]:
    """All events of a home's log, sealed or waiting."""
    return [json.loads(entry) for entry in all_entries(ObjectFolder(home / "audit"))]


def operations(home: Path) -> list[str]:
    """The actions of all events, in order."""
    return [event["api"]["operation"] for event in events(home)]


def waiting(home: Path) -> list[Path]:
    """The segments that wait for the seal."""
    return sorted(path for path in (home / "audit").glob("segments/*"))
