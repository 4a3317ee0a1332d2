"""The text of policies: YAML with the line of every key, the built-in policy, a commented example."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from contact_sanitizer.errors import PolicyError

Location = tuple[int | str, ...]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's idea of a boolean: `NO` is Norway, not false."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|false|False)\Z"), list("tTfF")
)


def _is_word(key: str) -> bool:
    """Whether a key may be repeated: a list that is taken for a policy has phones and addresses for keys."""
    return len(key) <= 64 and re.search(r"\d{5}|@", key) is None


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document (`value`) and the 1-based line of every key and item (`lines`)."""

    value: Any
    lines: Mapping[Location, int]

    def depth(self, location: Sequence[int | str]) -> int:
        """How many leading elements of `location` stand in the document."""
        known = 0
        for size in range(1, len(location) + 1):
            if tuple(location[:size]) in self.lines:
                known = size
        return known

    def line(self, location: Sequence[int | str]) -> int:
        """The line of `location`, or of the nearest thing around it that the document has."""
        return self.lines.get(tuple(location[: self.depth(location)]), 1)

    def describe(self, location: Sequence[int | str]) -> str:
        """`line 7, key columns.city.do`, as errors say it."""
        key = ".".join(part if _is_word(part := str(step)) else "…" for step in location)
        return f"line {self.line(location)}, key {key}" if key else f"line {self.line(location)}"


def parse_document(source: bytes) -> Document:
    """The document in `source`, strictly UTF-8, each key once; `PolicyError` names the line."""
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PolicyError("policy_syntax", f"byte {error.start} is not UTF-8") from None
    try:
        loader = _Loader(text)
    except yaml.YAMLError:
        raise PolicyError("policy_syntax", "line 1: holds characters that no text has") from None
    try:
        node = loader.get_single_node()
        if node is None:
            raise PolicyError("policy_syntax", "line 1: the policy is empty")
        lines: dict[Location, int] = {}
        _walk(node, (), lines, 0)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise PolicyError("policy_syntax", f"line {line}: {_in_own_words(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise PolicyError("policy_syntax", "line 1: is not YAML text") from None
    finally:
        loader.dispose()


_PROBLEMS: Final = (
    ("alias", "refers to something that the policy does not define"),
    ("occurrence", "defines one anchor twice"),
    ("tag", "has a tag (!...), which policies do not use"),
    ("tab", "is indented with a tab"),
    ("\\t", "is indented with a tab"),
    ("mapping values", "has a second ':' where one value was expected"),
    ("expected ',' or", "opens a bracket that is not closed in time"),
    ("block end", "is not indented like the lines around it"),
    ("quoted scalar", "opens a quote that is never closed"),
)


def _in_own_words(error: yaml.MarkedYAMLError) -> str:
    """What is wrong, without the library's sentence: it quotes the document, which may be a list."""
    said = f"{error.problem or ''} {error.context or ''}"
    return next((words for sign, words in _PROBLEMS if sign in said), "is not YAML")


def _walk(node: yaml.Node, location: Location, lines: dict[Location, int], depth: int) -> None:
    if depth > 16:
        raise PolicyError("policy_syntax", f"line {node.start_mark.line + 1}: is nested too deeply")
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*location, str(key.value))
            if here in lines:
                raise PolicyError(
                    "policy_syntax", f"line {key.start_mark.line + 1}: a key stands twice in one place"
                )
            lines[here] = key.start_mark.line + 1
            _walk(value, here, lines, depth + 1)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*location, index), lines, depth + 1)


DEFAULT_POLICY: Final = """\
format: contact-sanitizer/policy/v1
name: default
default_region: CN
allow_regions: [CN]
allow_types: [mobile]
columns:
  phone: {role: phone}
  consent: {role: consent, optional: true}
consent:
  purpose: marketing
  channel: sms
  evidence: registry
  max_age_days: 730
suppression: {scopes: [global, tenant]}
placeholders: reject
output: {format: csv, audience: shared}
reports: {disclose: coarse}
"""

EXAMPLE_POLICY: Final = """\
# A policy says what a list may contain and what becomes of each column.
format: contact-sanitizer/policy/v1
name: spring-sale

# A number written without a country code belongs to this region.
default_region: CN
# Numbers of other regions are refused (region_not_allowed). [] allows any region.
allow_regions: [CN]
# mobile | fixed_line | toll_free | premium_rate | shared_cost | voip | personal_number | pager |
# uan | voicemail
allow_types: [mobile]

# What is not named here is dropped. A named column that the file lacks refuses the file,
# unless it says `optional: true`.
columns:
  phone:  {role: phone}              # found by the known headers; `from: [手机号]` pins it
  agreed: {role: consent, optional: true}   # yes/no in the file itself; a "no" always counts
  # left: {role: refusal, from: [已离开]}    # whatever is not blank or a plain no refuses; 退订, 黑名单,
  #                                          # "opted out", "do not contact" ... count unnamed
  city:   {do: keep, from: [城市, city]}    # kept; what is PII in it is redacted and counted
  name:   {do: mask, from: [姓名, name]}    # keep | mask | hash | encrypt | drop

# Unknown is refused: only a consent for this purpose, channel and sender lets a number pass.
consent:
  purpose: marketing
  channel: sms
  sender: brand-a                    # leave out: any sender's consent counts
  evidence: registry                 # registry | column | either
  max_age_days: 730

suppression:
  scopes: [global, tenant, sender]
  # A register older than this stops the job instead of passing numbers.
  # max_age_days: {global: 31}

placeholders: reject                 # 13800138000 and the like; or accept
output:
  format: csv                        # csv | jsonl | parquet
  audience: shared                   # tokens differ for each audience
  hash: keyed                        # what a delivery of hashes holds: keyed ones, or sha256:+E164 and the
                                     # like, which anybody can undo by trying all numbers
  phones: false                      # true: senders with the right to it may be handed numbers
reports: {disclose: coarse}          # coarse: rejects say not_contactable for all registry reasons; or full
raw: {keep: none}
limits: {max_bytes: 5GB, max_rows: 100000000, max_columns: 512, max_cell_chars: 32767}
# encoding: big5                     # only where a file is none of UTF-8, GB18030, UTF-16
# sheet: 客户                        # only where the first visible sheet with a phone column is not the one
"""
