"""What a list may contain and what becomes of each column.

A policy is a YAML document, `format: contact-sanitizer/policy/v1`. Everything is checked before a
list is opened: unknown keys, unknown regions and types, and contradictions are `PolicyError`s that
name the key and the line. What a policy does not name, the engine drops.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.policy_text import DEFAULT_POLICY, Document, parse_document
from contact_sanitizer.policy_words import REGIONS, Action, Evidence, Role

FORMAT: Final = "contact-sanitizer/policy/v1"
MAX_POLICY_BYTES: Final = 1 << 20

_NAME = re.compile(r"[\w][\w .\-]{0,63}\Z")
# A name goes into manifests and audit events, where nothing that could be a phone may stand.
_LONG_NUMBER = re.compile(r"\d{7}")
_SIZE = re.compile(r"(\d{1,15})\s*(B|KB|MB|GB|TB)?\Z", re.IGNORECASE)
_UNITS: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _region(value: object) -> object:
    if not isinstance(value, str) or value not in REGIONS:
        raise ValueError("is not a region code such as CN or US")
    return value


def _name(value: object) -> object:
    if not isinstance(value, str) or not _NAME.match(value) or _LONG_NUMBER.search(value):
        raise ValueError("must be a short name of letters, a few digits, '-', '_', '.' or spaces")
    return value


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not (found := _SIZE.match(value.strip())):
        raise ValueError("is not a size such as 5GB or 200MB")
    return int(found[1]) * _UNITS[(found[2] or "B").upper()]


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


Region = Annotated[str, BeforeValidator(_region)]
Name = Annotated[str, BeforeValidator(_name)]
ByteSize = Annotated[int, BeforeValidator(_size), Field(ge=1)]
NumberType = Literal[
    "mobile",
    "fixed_line",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
]
Scope = Literal["global", "tenant", "sender"]
HashForm = Literal[
    "keyed", "sha256:+E164", "sha256:digits", "sha1:+E164", "sha1:digits", "md5:+E164", "md5:digits"
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class ColumnRule(_Part):
    """One named column: a role for the engine, or what becomes of its cells."""

    role: Annotated[Role | None, Field(strict=False)] = None
    do: Annotated[Action | None, Field(strict=False)] = None
    headers: Annotated[
        tuple[str, ...], BeforeValidator(_one_or_many), Field(alias="from", strict=False, max_length=64)
    ] = ()
    optional: bool = False

    @model_validator(mode="after")
    def _role_or_action(self) -> ColumnRule:
        if (self.role is None) == (self.do is None):
            raise ValueError("needs exactly one of 'role' and 'do'")
        return self


class ConsentRule(_Part):
    """For what, over which channel and for whom a consent must have been given."""

    purpose: Name
    channel: Name
    sender: Name | None = None
    evidence: Annotated[Evidence, Field(strict=False)] = Evidence.REGISTRY
    max_age_days: Annotated[int, Field(ge=1, le=36500)] | None = None


class SuppressionRule(_Part):
    """Which suppression scopes are asked, and how old their registers may be."""

    scopes: Annotated[tuple[Scope, ...], Field(strict=False, min_length=1)] = ("global", "tenant")
    max_age_days: dict[Scope, Annotated[int, Field(ge=1, le=36500)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ages_of_known_scopes(self) -> SuppressionRule:
        if set(self.max_age_days) - set(self.scopes):
            raise ValueError("max_age_days names a scope that 'scopes' does not ask")
        return self


class OutputRule(_Part):
    """How the clean list is written, for whom its tokens are made, and what else a sender may be handed.

    `hash`: what a delivery of hashes holds, keyed ones or those of a contract. `phones`: whether senders with
    the right to it may be handed numbers.
    """

    format: Literal["csv", "jsonl", "parquet"] = "csv"
    audience: Name = "shared"
    hash_as: Annotated[HashForm, Field(alias="hash")] = "keyed"
    phones: bool = False


class ReportRule(_Part):
    """What the uploader may learn; `coarse` says `not_contactable` for every registry reason."""

    disclose: Literal["coarse", "full"] = "coarse"


class RawRule(_Part):
    """How long an upload is kept after success, where the system holds it."""

    keep: Literal["none", "until_expiry"] = "none"


class LimitRule(_Part):
    """What is refused for its size before memory is spent."""

    max_bytes: ByteSize = 5 * 10**9
    max_rows: Annotated[int, Field(ge=1, le=10**9)] = 100_000_000
    max_columns: Annotated[int, Field(ge=1, le=4096)] = 512
    max_cell_chars: Annotated[int, Field(ge=64, le=1 << 20)] = 32767


class Policy(_Part):
    """One list's rules, whole and consistent.

    `sha256` is the digest of the document's bytes as given, so that `sha256sum` on the file shows
    the value that stands in manifests and audit events.
    """

    format: Literal["contact-sanitizer/policy/v1"]
    name: Name
    default_region: Region
    allow_regions: Annotated[tuple[Region, ...], Field(strict=False)] = ()
    allow_types: Annotated[tuple[NumberType, ...], Field(strict=False, min_length=1)] = ("mobile",)
    columns: dict[Name, ColumnRule]
    consent: ConsentRule
    suppression: SuppressionRule = SuppressionRule()
    placeholders: Literal["reject", "accept"] = "reject"
    output: OutputRule = OutputRule()
    reports: ReportRule = ReportRule()
    raw: RawRule = RawRule()
    limits: LimitRule = LimitRule()
    encoding: Annotated[str, Field(max_length=32)] | None = None
    sheet: Annotated[str, Field(max_length=64)] | None = None
    sha256: Annotated[str, Field(exclude=True)] = ""

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        for complaint in _contradictions(self):
            raise ValueError(complaint)
        return self

    def column_with(self, role: Role) -> str | None:
        """The name of the column that has `role`, or None."""
        return next((name for name, rule in self.columns.items() if rule.role is role), None)

    @property
    def written_columns(self) -> Mapping[str, Action]:
        """The columns of the clean list after `token`, in policy order, with what is done to each."""
        return {
            name: rule.do
            for name, rule in self.columns.items()
            if rule.do is not None and rule.do is not Action.DROP
        }


def _contradictions(policy: Policy) -> Iterator[str]:
    roles = [rule.role for rule in policy.columns.values() if rule.role]
    if roles.count(Role.PHONE) != 1:
        yield "columns: exactly one column needs role phone"
    if roles.count(Role.CONSENT) > 1:
        yield "columns: at most one column may have role consent"
    if policy.consent.evidence is not Evidence.REGISTRY and Role.CONSENT not in roles:
        yield "consent.evidence: evidence from a column needs a column with role consent"
    if "token" in policy.written_columns:
        yield "columns: 'token' is the clean list's own first column"
    if policy.output.phones and "phone" in policy.written_columns:
        yield "output.phones: a list of numbers calls its own first column 'phone'"
    if policy.output.hash_as != "keyed" and "hash" in policy.written_columns:
        yield "output.hash: a list of hashes calls its own first column 'hash'"
    if "sender" in policy.suppression.scopes and policy.consent.sender is None:
        yield "suppression.scopes: scope sender needs consent.sender"
    if "mobile" not in policy.allow_types:
        yield "allow_types: mobile cannot be left out, because no reason is defined against a mobile number"
    if policy.allow_regions and policy.default_region not in policy.allow_regions:
        yield "default_region: allow_regions leaves out the default region"


def parse_policy(source: bytes) -> Policy:
    """The policy that a document's bytes state; `PolicyError` names the first key and line that is wrong."""
    document = parse_document(source)
    try:
        policy = Policy.model_validate(document.value)
    except ValidationError as error:
        raise _first_complaint(error, document) from None
    if policy.encoding is not None:
        _check_encoding(policy.encoding, document)
    return policy.model_copy(update={"sha256": hashlib.sha256(source).hexdigest()})


def load_policy(path: Path) -> Policy:
    """The policy in a file; see `parse_policy`."""
    try:
        with path.open("rb") as file:
            source = file.read(MAX_POLICY_BYTES + 1)
    except FileNotFoundError:
        raise PolicyError("policy_missing", "there is no policy file of that name") from None
    except OSError:
        raise PolicyError("policy_unreadable", "the policy file cannot be read") from None
    if len(source) > MAX_POLICY_BYTES:
        raise PolicyError("policy_unreadable", "a policy is at most 1 MiB; is this the list itself?")
    return parse_policy(source)


@cache
def default_policy() -> Policy:
    """The built-in policy: marketing by SMS to Chinese mobiles, consent from the registry."""
    return parse_policy(DEFAULT_POLICY.encode())


def _check_encoding(name: str, document: Document) -> None:
    try:
        "".encode(name)
    except LookupError:
        where = document.describe(("encoding",))
        raise PolicyError("policy_invalid", f"{where}: is no known encoding") from None


def _first_complaint(error: ValidationError, document: Document) -> PolicyError:
    first = min(error.errors(include_input=False, include_url=False), key=lambda e: document.line(e["loc"]))
    location = tuple(part for part in first["loc"] if not _is_branch(part, first["loc"], document))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "is not a key of a policy"
    elif first["type"] == "missing":
        message = "is missing"
    elif first["type"] == "too_short":
        message = "needs at least one entry"
    elif first["type"] in {"model_type", "dict_type"}:
        message = "must be a mapping of keys to values"
    elif not location and ": " in message:
        key, message = message.split(": ", 1)
        location = tuple(key.split("."))
    return PolicyError("policy_invalid", f"{document.describe(location)}: {_lower_first(message)}")


def _is_branch(part: Any, location: tuple[Any, ...], document: Document) -> bool:
    """True for pydantic's own path elements (`from` stands for its alias; union branches have no key)."""
    return (
        isinstance(part, str)
        and part.startswith(("function-", "literal[", "str", "tuple["))
        and len(location) > document.depth(location)
    )


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]
