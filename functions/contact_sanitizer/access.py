"""Who may call what: principals of a stack, each with its tenant and its roles.

A principal is a role or a user of AWS, or a client of an identity provider. What nobody wrote down is
refused; only the stack's own account has a default, for there the policies of IAM have decided already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contact_sanitizer.audit.events import plain_word
from contact_sanitizer.errors import CatalogueError, RequestError
from contact_sanitizer.ports import Record, Records

PRINCIPAL: Final = "principal"
"""The kind of the records."""

STACK: Final = "_"
"""Whose records they are: the stack's own, for no tenant's name begins so."""

_ARN = re.compile(
    r"arn:(aws[a-z\-]*):(?:iam|sts)::(\d{12}):(assumed-role|role|user|federated-user)/(\S{1,256})\Z"
)
_TOKEN = re.compile(r"jwt:\S{1,512}\Z")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_\-]{0,31}\Z")
_LONG_NUMBER = re.compile(r"\d{7}")


class Role(StrEnum):
    """What somebody is for."""

    UPLOADER = "uploader"
    SENDER = "sender"
    SECURITY = "security"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: `name` as it stands in the records, `word` as it stands in audit events.

    `at_home`: of the stack's own account, and admitted to this very route by IAM.
    """

    name: str
    word: str
    at_home: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """Where a caller may work, and as what; `roles` is None where IAM alone has decided."""

    tenant: str
    word: str
    roles: frozenset[Role] | None
    sender: str = ""

    def serves_as(self, role: Role) -> bool:
        """Whether the records say so: what IAM alone has decided counts for no one role."""
        return self.roles is not None and role in self.roles


@dataclass(frozen=True, slots=True)
class Principal:
    """One entry: who, in which tenant, as what; `sender` names whom a sender's calls are for."""

    name: str
    tenant: str
    roles: frozenset[Role]
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """The principals of a stack, on its own records."""

    records: Records
    default_tenant: str = ""

    def admit(self, caller: Caller, roles: AbstractSet[Role]) -> Admission:
        """Where the caller may act in one of `roles`; `RequestError` (`not_allowed`) otherwise."""
        found = self.records.get(PRINCIPAL, caller.name)
        if found:
            principal = _principal(found)
            if principal.roles & roles:
                return Admission(principal.tenant, caller.word, principal.roles, principal.sender)
        elif caller.at_home and self.default_tenant:
            return Admission(self.default_tenant, caller.word, None)
        raise RequestError("not_allowed", "this is not for you: ask the operator for a role that may do it")

    def add(self, principal: Principal) -> None:
        """Write a principal down, in place of what was said of it before."""
        stated = {
            "tenant": principal.tenant,
            "roles": sorted(principal.roles),
            "sender": principal.sender,
        }
        self._put(principal.name, stated)

    def remove(self, name: str) -> None:
        """Admit a principal nowhere any more, not even by default."""
        self._put(name, {"tenant": "", "roles": [], "sender": ""})

    def principals(self) -> Iterator[Principal]:
        """Those who are admitted, by name."""
        everybody = (_principal(record) for record in self.records.named(PRINCIPAL))
        return (principal for principal in everybody if principal.roles)

    def _put(self, name: str, stated: Mapping[str, object]) -> None:
        known = self.records.get(PRINCIPAL, name)
        if not self.records.put(PRINCIPAL, name, stated, after=known.version if known else 0):
            raise CatalogueError("catalogue_busy", "the principal was changed meanwhile; try again")


def principal_name(text: str) -> str:
    """The name under which a principal is written down; `RequestError` (`principal_invalid`) for none.

    An ARN of a role, of its sessions or of a user; of a role's ARN neither path nor session counts, for a
    caller is not told the former. Or `jwt:`, an issuer, `#` and a subject or client.
    """
    if _TOKEN.match(text):
        return text
    if not (found := _ARN.match(text)):
        raise RequestError(
            "principal_invalid", "a principal is the ARN of a role or user, or jwt:ISSUER#SUBJECT"
        )
    partition, account, kind, rest = found.groups()
    if kind == "assumed-role":
        return f"arn:{partition}:iam::{account}:role/{rest.partition('/')[0]}"
    if kind == "role":
        return f"arn:{partition}:iam::{account}:role/{rest.rpartition('/')[2]}"
    return f"arn:{partition}:iam::{account}:{kind}/{rest}"


def principal_word(name: str, user_id: str = "") -> str:
    """A principal as audit events name it: no session, no user's name, no long number.

    `user_id`: what AWS calls a user; a role goes by its own name.
    """
    found = _ARN.match(name)
    if not found:
        return "jwt/client"
    _, account, kind, rest = found.groups()
    called = rest.rpartition("/")[2] if kind == "role" else user_id.partition(":")[0] or "unknown"
    return plain_word(f"{kind}/{account[:6]}-{account[6:]}/{called}")


def check_tenant(name: str) -> str:
    """The name where it is a tenant's; `RequestError` (`principal_invalid`) otherwise."""
    if not _TENANT.match(name) or _LONG_NUMBER.search(name):
        raise RequestError("principal_invalid", "a tenant's name is up to 32 of a-z, 0-9, '-' and '_'")
    return name


def _principal(record: Record) -> Principal:
    try:
        roles = frozenset(Role(word) for word in record.document["roles"])
        return Principal(record.name, str(record.document["tenant"]), roles, str(record.document["sender"]))
    except (KeyError, ValueError, TypeError):
        raise CatalogueError("catalogue_damaged", "the entry of a principal cannot be understood") from None
