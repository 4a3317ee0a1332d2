"""The page as a browser, a screen reader and a printer get it: parsed, not looked at."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest

from contact_sanitizer.audit.actions import Action
from contact_sanitizer.audit.verify import Expectations
from contact_sanitizer.errors import AuditError
from contact_sanitizer.reporting.document import KeySource, Making, fault_document, report_document
from contact_sanitizer.reporting.page import render_page
from contact_sanitizer.reporting.period import parse_period
from contact_sanitizer.reporting.report import Scope, make_report
from logworld import VERIFIERS, MemoryObjects
from reportlog import DAY, FIRST, HOUR, Diary, autumn, sealed

VOID = {"meta", "link", "br", "rect", "hr", "img", "input"}
HEARTBEAT = Expectations(DAY, FIRST + 70 * DAY)


@dataclass
class Element:
    """One element: its attributes, what lies in it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str = "") -> list[Element]:
        """All elements within, of that tag, in their order."""
        within = [self] if not tag or self.tag == tag else []
        return within + [found for child in self.children for found in child.all(tag)]

    def words(self) -> str:
        """All text within."""
        return self.text + "".join(child.words() for child in self.children)


class Reader(HTMLParser):
    """Builds the tree, and fails where a tag is not closed in its turn."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]
        self.feed(page.decode())
        assert len(self._open) == 1, [each.tag for each in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID or (tag == "rect" and not self.get_starttag_text().endswith("/>")):  # type: ignore[union-attr] # within a start tag there is one
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, (self._open[-1].tag, tag)
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data


def page_of(objects: MemoryObjects, source: KeySource = KeySource.GIVEN) -> bytes:
    report = make_report(objects, VERIFIERS, Scope(parse_period("2026"), "default"), HEARTBEAT)  # type: ignore[arg-type] # 2026 is a period
    making = Making(FIRST + 70 * DAY, VERIFIERS, source, "security", Diary().new_id(FIRST), DAY)
    return render_page(report_document(report, making))


@pytest.fixture(scope="module")
def page() -> bytes:
    diary = Diary()
    diary.deny(FIRST, Action.LIST_FAILED, "file_missing", list_id=diary.new_id(FIRST))
    diary.deny(FIRST, Action.UPLOAD_DENIED, "limit_rows")
    return page_of(sealed([*diary.events, *autumn()]))


@pytest.fixture(scope="module")
def tree(page: bytes) -> Element:
    return Reader(page).root


def faulty() -> bytes:
    error = AuditError("event_altered", "event 7 is not the one that was sealed")
    return render_page(fault_document(error, Scope(), Making(FIRST, VERIFIERS, KeySource.GIVEN)))


def test_the_page_says_its_language_and_its_verdict_first(tree: Element) -> None:
    (html,), (title,), (first,) = tree.all("html"), tree.all("head")[0].all("title"), tree.all("h1")
    assert html.attributes["lang"] == "en"
    assert title.words() == "Audit report 2026: Verified, with gaps between seals"
    assert first.words() == "Audit report"
    assert tree.all("h2")[0].attributes["id"] == "verdict"


def test_a_browser_loads_and_runs_nothing(page: bytes, tree: Element) -> None:
    tags = {element.tag for element in tree.all()}
    assert not tags & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "input",
        "base",
        "foreignobject",
    }
    for element in tree.all():
        assert not [name for name in element.attributes if name.startswith("on") or name in {"style", "src"}]
        assert element.attributes.get("href", "#").startswith("#")
    (style,) = tree.all("style")
    assert not re.search(r"url\(|@import|expression", style.text)
    digest = b64encode(sha256(style.text.encode()).digest()).decode()
    (policy,) = [m.attributes["content"] for m in tree.all("meta") if "http-equiv" in m.attributes]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert b"http://" not in page
    assert b"https://" not in page


def test_landmarks_and_headings_stand_in_order(tree: Element) -> None:
    for tag in ("header", "main", "footer", "nav"):
        assert len(tree.all(tag)) == 1
    levels = [int(element.tag[1]) for element in tree.all() if re.fullmatch(r"h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_reference_leads_somewhere_and_ids_are_unique(tree: Element) -> None:
    ids = Counter(element.attributes["id"] for element in tree.all() if "id" in element.attributes)
    assert max(ids.values()) == 1
    for element in tree.all():
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(element.attributes.get(name, "").split()) <= set(ids)
        if element.attributes.get("href"):
            assert element.attributes["href"][1:] in ids
    links = [link.words() for link in tree.all("nav")[0].all("a")]
    assert len(links) == len(set(links)) == 12


def test_every_table_has_a_caption_scoped_headers_and_rows_that_fit(tree: Element) -> None:
    tables = tree.all("table")
    assert len(tables) > 15
    for table in tables:
        (caption,) = table.all("caption")
        assert caption.words().strip()
        heads = table.all("thead")[0].all("th")
        assert {head.attributes["scope"] for head in heads} == {"col"}
        rows = table.all("tbody")[0].all("tr")
        assert rows
        for row in rows:
            cells = [child.tag for child in row.children]
            assert cells == ["th", *["td"] * (len(heads) - 1)], caption.words()
            assert row.children[0].attributes["scope"] == "row"
            assert all(
                child.words().strip() or child.all("svg") or not child.children for child in row.children
            )


def test_tables_that_scroll_can_be_reached_by_keyboard(tree: Element) -> None:
    for element in tree.all("div"):
        if element.attributes.get("class") == "scroll":
            assert element.attributes["tabindex"] == "0"
            assert element.attributes["role"] == "region"
    captions = [caption.words() for caption in tree.all("caption")]
    assert len(captions) == len(set(captions))


def test_every_drawing_has_words_or_is_decoration_beside_its_number(tree: Element) -> None:
    drawings = tree.all("svg")
    assert len([each for each in drawings if each.attributes.get("role") == "img"]) == 6
    for drawing in drawings:
        if drawing.attributes.get("aria-hidden") == "true":
            continue
        assert drawing.attributes["role"] == "img"
        title, said = drawing.children[0], drawing.children[1]
        assert (title.tag, said.tag) == ("title", "desc")
        assert "The table below holds all numbers" in said.words()
        assert drawing.attributes["aria-labelledby"] == f"{title.attributes['id']} {said.attributes['id']}"


def test_the_charts_say_what_the_table_says(tree: Element) -> None:
    (table,) = [t for t in tree.all("table") if "Volumes by" in t.all("caption")[0].words()]
    rows = table.all("tbody")[0].all("tr")
    columns = zip(
        *[[int(cell.words().replace(",", "")) for cell in row.all("td")] for row in rows], strict=True
    )
    sums = [sum(column) for column in columns]
    captions = [figure.all("figcaption")[0].words() for figure in tree.all("figure")]
    assert [int(re.search(r"([\d,]+) in all", said)[1].replace(",", "")) for said in captions] == sums  # type: ignore[index] # a miss fails as well
    for figure, total in zip(tree.all("figure"), sums, strict=True):
        bars = [bar.all("title")[0].words() for bar in figure.all("rect")]
        assert sum(int(said.partition(": ")[2].replace(",", "")) for said in bars) == total


def _palettes() -> dict[str, dict[str, str]]:
    style = files("contact_sanitizer.reporting").joinpath("page.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", style)
    assert len(blocks) == 3
    palettes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    return dict(zip(("light", "dark", "print"), palettes, strict=True))


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["light", "dark", "print"])
def test_text_and_drawings_stand_out_in_every_palette(name: str) -> None:
    palette = _palettes()[name]
    papers = [word for word in palette if word.endswith("paper")] + ["raised"]
    for ink in ("ink", "soft", "link"):
        for paper in papers:
            assert _contrast(palette[ink], palette[paper]) >= 4.5, (ink, paper)
    for ink in ("good", "look", "bad"):
        for paper in ("paper", f"{ink}-paper"):
            assert _contrast(palette[ink], palette[paper]) >= 4.5, (ink, paper)
    assert _contrast(palette["bar"], palette["paper"]) >= 3


@pytest.mark.parametrize("source", list(KeySource))
def test_a_key_from_the_log_itself_is_said_beside_the_verdict(source: KeySource) -> None:
    title = Reader(page_of(sealed(autumn(days=5)), source)).root.all("h2")[0].words()
    assert ("only against its own key" in title) is (source is KeySource.FOLDER)


def test_a_log_that_does_not_verify_is_all_that_its_page_speaks_of() -> None:
    tree = Reader(faulty()).root
    assert [heading.words() for heading in tree.all("h2")] == ["This log does not verify✕"]
    said = tree.all("main")[0].words()
    assert "event 7 is not the one that was sealed" in said
    assert "event_altered" in said
    assert not tree.all("table")
    assert not tree.all("svg")


HOSTILE = "\"><script>alert(1)</script>&'{{7*7}}\u202egnp.exe"


def hostile(diary: Diary) -> list[Any]:
    """Events of somebody who writes what no event of ours would hold."""

    class Odd:
        def __init__(self, line: bytes, at: int) -> None:
            self.at, self._line = at, line

        def line(self) -> bytes:
            return self._line

    word = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').encode()
    changed = [
        (b'"gate"', b'"' + word + b'"'),
        (b"role/gate", word),
        (b"quota_exceeded", word),
        (b'"ops"', b'"' + word + b'"'),
    ]
    odd = []
    for event in diary.events:
        line = event.line()
        for old, new in changed:
            line = line.replace(old, new)
        odd.append(Odd(line, event.at))
    return odd


def test_hostile_words_are_shown_as_words() -> None:
    diary = Diary()
    made = diary.make_list(FIRST, {"rows": 1, "kept": 1}, "ops")
    diary.deliver(FIRST, made, "gate", {"rows": 1})
    diary.redeem(FIRST + HOUR, "gate", tokens=1, redeemed=1)
    diary.deny(FIRST + HOUR, Action.TOKENS_DENIED, "quota_exceeded", "role/gate", sender="gate")
    page = page_of(sealed(hostile(diary)))
    tree = Reader(page).root
    assert not tree.all("script")
    assert b"\xe2\x80\xae" not in page
    assert b"%22%3E%3Cscript%3E" in page


def test_an_empty_log_has_a_page() -> None:
    tree = Reader(page_of(sealed([]))).root
    said = " ".join(tree.all("main")[0].words().split())
    assert "The log holds no event yet." in said
    assert "No sender fetched or redeemed anything." in said


def test_long_tables_are_cut_and_say_so() -> None:
    diary = Diary()
    for number in range(300):
        by = f"role/r-{number}"
        diary.make_list(FIRST + number * 1000, {"rows": 1, "kept": 1}, by)
    page = page_of(sealed(sorted(diary.events, key=lambda event: event.at)))
    assert b"280 more are not shown here" in page
    assert b"250 more are not shown here" in page
    assert len(page) < 150_000
