"""The report as one HTML page that needs nothing else: no script, no network, no font, no image.

Promises: every word of the log is escaped; the page's own policy lets a browser load nothing and run nothing.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from contact_sanitizer.reporting.asking import asks_of
from contact_sanitizer.reporting.charts import chart_of
from contact_sanitizer.reporting.volumes import SERIES

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATE: Final = "page.html.j2"
_STYLE: Final = "page.css"
_SHOWN: Final = 50
"""Rows of a table on the page; the JSON object has more of them."""
_FEW: Final = 20
"""Rows of a table of which most are alike."""
_KEY_WORDS: Final = {
    "given": "given by whoever made this report",
    "world": "as the place that seals the log knows it",
    "folder": "taken from the folder itself",
}
_HANDLED: Final = {"complaints": "Complaints", "opt_outs": "Opt-out replies", "withdrawals": "Withdrawals"}
_SECTIONS: Final = (
    ("look", "To look at"),
    ("sums", "Sums"),
    ("volumes", "Volumes"),
    ("rows", "Lists and reasons"),
    ("fetches", "Who fetched what"),
    ("recalls", "Refusals after the fetch"),
    ("people", "Consents and complaints"),
    ("unusual", "Unusual activity"),
    ("seals", "Seals"),
    ("changes", "Changes"),
    ("acts", "Who did what"),
    ("cannot", "What the log cannot know"),
)
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Headline:
    """The page's first words. `kind`: `good`, `look` or `bad`; `sign`: the same without colour."""

    kind: str
    sign: str
    title: str
    said: str


def render_page(document: dict[str, Any]) -> bytes:
    """The page of a report's document, as UTF-8."""
    environment = _environment()
    style = _minified(files(__package__).joinpath(_STYLE).read_text("utf-8"))
    page = environment.get_template(_TEMPLATE).render(
        report=document,
        style=style,
        style_hash=b64encode(sha256(style.encode()).digest()).decode(),
        headline=_headline(document),
        span=_span(document["period"]),
        key_words=_KEY_WORDS[document["verification"]["keys_from"]],
        **(_shown(document) if document["verification"]["verified"] else {}),
    )
    return page.encode()


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of the figures in other words than the document's."""
    return {
        "charts": [chart_of(title, word, document["volumes"]["buckets"]) for word, title in SERIES.items()],
        "series": SERIES,
        "volume_heads": [f"#{title}" for title in SERIES.values()],
        "sections": _SECTIONS,
        "asks": list(asks_of(document)),
        "tiles": list(_tiles(document)),
        "registry_rows": list(_registry(document["registry"])),
        "denials": [each for sender in document["fetches"]["senders"] for each in _denials(sender)],
        "handling": [(_HANDLED[word], each) for word, each in document["registry"]["handling"].items()],
        "shown": _SHOWN,
        "few": _FEW,
    }


def _headline(document: dict[str, Any]) -> Headline:
    verification = document["verification"]
    if not verification["verified"]:
        return Headline(
            "bad",
            "✕",
            "This log does not verify",
            "Something in it is not as it was signed, or it is not this key that signed it.",
        )
    fits = "Every event, every hash and every kept checkpoint fits the signatures."
    if verification["keys_from"] == "folder":
        said = f"{fits} But the key came from the same folder: whoever changed one could change both."
        return Headline("look", "!", "Verified only against its own key", said)
    if verification["gaps_count"]:
        said = f"{fits} But seals were missing: {verification['gaps_count']:,} times in this period."
        return Headline("look", "!", "Verified, with gaps between seals", said)
    said = "Nothing was altered, removed, reordered or invented up to the newest seal."
    return Headline("good", "✓", "Verified", f"{said} {fits}")


def _span(period: dict[str, Any]) -> str:
    first, last = period["from"], period["to"]
    name = f"{period['name']}: " if period["name"] else ""
    if first and last:
        return f"{name}from {_when(first)} to before {_when(last)}"
    if first:
        return f"from {_when(first)}"
    return f"to before {_when(last)}" if last else "the whole log"


def _tiles(document: dict[str, Any]) -> Iterator[tuple[str, int]]:
    lists, fetches, registry = document["lists"], document["fetches"], document["registry"]
    yield "lists finished", lists["published"]
    yield "rows in them", lists["rows"]
    yield "rows kept", lists["kept"]
    yield "deliveries", fetches["deliveries"]
    yield "rows delivered", fetches["rows"]
    yield "left out at the fetch", fetches["left_out"]
    yield "numbers redeemed", fetches["redeemed"]
    yield "refused at redemption", fetches["refused"]
    yield "recalls found", document["recalls"]["found"]
    yield "opt-outs", registry["opt_outs"]
    yield "complaints", registry["handling"]["complaints"]["count"] + registry["complaints_in_files"]
    yield "requests refused", sum(each["count"] for each in document["events"]["refused"])


def _registry(registry: dict[str, Any]) -> Iterator[tuple[str, int]]:
    yield "consents recorded", registry["consents_recorded"]
    yield "consents withdrawn", registry["consents_withdrawn"]
    for kind, count in registry["replies"].items():
        yield f"replies read as: {_words(kind)}", count
    for reason, count in registry["blocks_added"].items():
        yield f"blocks added one by one: {_words(reason)}", count
    yield "blocks removed, or asked to be", registry["blocks_removed"]
    yield "people erased", registry["erasures"]
    yield "erasures cut off", registry["erasures_cut_off"]
    yield "files of consents", registry["imports"]["consent_files"]
    yield "files of blocks", registry["imports"]["block_files"]
    yield "imports that failed", registry["imports"]["failed"]
    for kind, count in registry["imports"]["recorded"].items():
        yield f"in files: {_words(kind)}", count


def _denials(sender: dict[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for what, words in (
        ("rows left out of deliveries", "left_out_by_reason"),
        ("tokens not its own", "not_its_own"),
        ("requests refused", "requests_refused_by_code"),
    ):
        for why, count in sender[words].items():
            yield sender["sender"], what, why, count


@cache
def _environment() -> Environment:
    # Only this command needs it, and it takes as long to load as many a command takes to run.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - as said above

    made = Environment(
        loader=PackageLoader("contact_sanitizer.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "n": _number,
        "when": _when,
        "took": _took,
        "share": _share,
        "words": _words,
        "clock": _clock,
    }
    return made


def _minified(style: str) -> str:
    return "".join(line.strip() for line in style.splitlines())


def _number(value: int) -> str:
    return f"{value:,}"


def _when(moment: str | None) -> str:
    """`2026-01-31T08:15:00.250Z` as `2026-01-31 08:15`; the page says once that all times are UTC."""
    return "" if moment is None else f"{moment[:10]} {moment[11:16]}"


def _took(seconds: int | None) -> str:
    """A span in the two largest units that matter: `3 d 4 h`, `12 min`."""
    if seconds is None:
        return "unknown"
    parts: list[str] = []
    left = seconds
    for size, unit in _UNITS:
        amount, left = divmod(left, size)
        if amount or (size == 1 and not parts):
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0.0%"


def _words(code: str) -> str:
    """A code as words: `consent_missing` as `consent missing`."""
    return code.replace("_", " ")


def _clock(when: str) -> str:
    """A day as it is, an hour as `2026-10-31 08:00`, a moment as above."""
    if len(when) == len("2026-10-31T08"):
        return f"{when.replace('T', ' ')}:00"
    return _when(when) if "T" in when else when
