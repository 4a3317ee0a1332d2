"""What lies beside the log against what the log says: lists and their manifests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from contact_sanitizer.errors import AuditError
from contact_sanitizer.listid import parse_list_id

_PUBLISHED: Final = b'"api":{"operation":"list.published"}'
_DIGESTS = re.compile(rb'"digests":(\{[^{}]*\})')
_LIST = re.compile(rb'"list_id":"([0-9A-HJKMNP-TV-Z]{26})"')
_PIECE: Final = 1 << 20


@dataclass
class Published:
    """The digests that events announced for each list, by list id."""

    lists: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def take(self, entry: bytes) -> None:
        """Take note of an entry, where it is one that announces a list."""
        if _PUBLISHED not in entry:
            return
        named, digests = _LIST.search(entry), _DIGESTS.search(entry)
        if named and digests:
            self.lists[named.group(1).decode()] = json.loads(digests.group(1))


def compare_lists(published: Published, folder: Path) -> tuple[int, int]:
    """Compare every list in `folder` with its event: (lists that agree, announced lists that are not here).

    `AuditError`: `list_unannounced` for a list without an event, `list_altered` where a manifest or a file is
    not the one that was announced.
    """
    found = sorted(path for path in folder.iterdir() if parse_list_id(path.name)) if folder.is_dir() else []
    for path in found:
        digests = published.lists.get(path.name)
        if digests is None:
            raise AuditError("list_unannounced", f"list {path.name} was published without an audit event")
        _compare(path, digests)
    return len(found), len(published.lists) - len(found)


def _compare(place: Path, digests: Mapping[str, Any]) -> None:
    if _digest(place / "manifest.json") != digests.get("manifest"):
        raise AuditError(
            "list_altered", f"the manifest of list {place.name} is not the one that was announced"
        )
    files = {path.name.partition(".")[0]: path for path in place.iterdir() if not path.name.startswith(".")}
    for word in sorted(files.keys() | digests.keys()):
        if word not in files or _digest(files[word]) != digests.get(word):
            raise AuditError("list_altered", f"a file of list {place.name} is not the one that was announced")


def _digest(path: Path) -> str:
    digest = sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()
