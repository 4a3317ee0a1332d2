"""What one list is screened for: purpose, channel, sender, ages and scopes."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from contact_sanitizer.errors import RegistryError

SCOPES: Final = frozenset({"global", "tenant", "sender"})
DAY: Final = 86_400
#: The last second that a time can name, and the meaning of "without end".
FOREVER: Final = 2**32 - 1


def name_of(text: str) -> str:
    """A purpose, channel, sender or scope as it is compared: NFKC, case-folded, without outer white space.

    A name that was made so stays as it is: what is compared may have been read from what was kept.
    """
    while (made := unicodedata.normalize("NFKC", text).strip().casefold()) != text:
        text = made
    return text


@dataclass(frozen=True, slots=True)
class Rule:
    """What has to be allowed, and which refusals count.

    `sender` None: the grant of any sender counts, and with the scope `sender` so does the refusal
    towards any sender. `recipient`: to whom the people are handed; a refusal towards it counts whatever the
    scopes. `max_age_days` None: consent does not age. `register_max_age_days` says for a
    scope after how many days without an import its register is too old to be relied on.
    Raises `RegistryError("rule_refused")` for an empty purpose or channel, or an unknown scope.
    """

    purpose: str
    channel: str
    sender: str | None = None
    max_age_days: int | None = None
    scopes: frozenset[str] = SCOPES
    register_max_age_days: Mapping[str, int] = field(default_factory=dict)
    recipient: str | None = None

    def __post_init__(self) -> None:
        for name in ("purpose", "channel"):
            object.__setattr__(self, name, name_of(getattr(self, name)))
        for name in ("sender", "recipient"):
            object.__setattr__(self, name, name_of(getattr(self, name) or "") or None)
        if not self.purpose or not self.channel:
            raise RegistryError("rule_refused", "A rule names a purpose and a channel.")
        if not (self.scopes | set(self.register_max_age_days)) <= SCOPES:
            raise RegistryError("rule_refused", "A rule's scopes are among global, tenant and sender.")

    @property
    def digest(self) -> bytes:
        """32 bytes that are equal for rules that answer every question alike (register ages aside)."""
        parts = [self.purpose, self.channel, self.sender, self.max_age_days, sorted(self.scopes)]
        parts += [self.recipient] if self.recipient else []
        return hashlib.sha256(json.dumps(parts).encode()).digest()

    def document(self) -> dict[str, Any]:
        """The JSON object that `of` reads."""
        return {**asdict(self), "scopes": sorted(self.scopes)}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The rule that a document states; fails in various ways where it states none."""
        return cls(**{**document, "scopes": frozenset(document["scopes"])})

    @property
    def max_age(self) -> int | None:
        """The age in seconds at which consent ends."""
        return None if self.max_age_days is None else self.max_age_days * DAY

    def counts_scope(self, scope: str) -> bool:
        """True where an entry of this scope (`global`, `tenant`, `sender:NAME`) counts under this rule."""
        kind, _, name = scope.partition(":")
        if kind == "sender" and name == self.recipient:
            return True
        return kind in self.scopes and (kind != "sender" or self.sender in {None, name})

    def require_fresh(self, loaded_at: Mapping[str, int], now: int) -> None:
        """Raises `RegistryError("register_stale")` where a register is too old or was never loaded.

        `loaded_at` says by scope when a register was last imported to its end. Under a rule without a
        sender every sender's register has to be fresh.
        """
        for kind, days in sorted(self.register_max_age_days.items()):
            counted = [at for scope, at in loaded_at.items() if self._names_register(kind, scope)]
            if not counted:
                raise RegistryError("register_stale", f"The {kind} register was never loaded.")
            if now - min(counted) > days * DAY:
                raise RegistryError("register_stale", f"The {kind} register is older than {days} days.")

    def _names_register(self, kind: str, scope: str) -> bool:
        named, _, name = scope.partition(":")
        return named == kind and (kind != "sender" or self.sender in {None, name})
