"""Under which terms the people of a list may be contacted, kept for the day when it is handed out.

A policy's file may have changed or be gone by then. What the registry says is asked anew each time; what the
file itself said of consent is not kept, so a list's terms say how long its word counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from contact_sanitizer.policy_words import Action, Evidence
from contact_sanitizer.screening.rule import DAY, Rule, name_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: How `hash_as` says that hashes are made under the tenant's own key.
KEYED = "keyed"


@dataclass(frozen=True, slots=True)
class Use:
    """What has to hold whenever somebody's number is used.

    `agreed_until` (Unix seconds): from then on a yes in the list itself counts no more; None: it stays.
    """

    rule: Rule
    evidence: Evidence
    agreed_until: int | None = None

    @property
    def key(self) -> str:
        """The same 32 hex digits for uses that answer every question alike."""
        parts = [self.rule.digest.hex(), self.evidence, self.agreed_until]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def weigh(self, registry: NDArray[np.uint8], now: int) -> NDArray[np.uint8]:
        """The `Drop` bits of n people who were kept on a list, from the registry's bits about them at `now`.

        Where the file's own yes counted, it still does: a refusal in the registry overrules it, and where
        either could have let somebody in, a consent in the registry that has expired counts against them.
        """
        if self.evidence is Evidence.REGISTRY:
            return registry
        # Whoever only shows which lists there are starts without the engine.
        import numpy as np  # noqa: PLC0415 - as said above

        from contact_sanitizer.intake.consentcells import ConsentCell  # noqa: PLC0415 - as above
        from contact_sanitizer.screening.evidence import weigh  # noqa: PLC0415 - as above
        from contact_sanitizer.screening.verdict import Drop  # noqa: PLC0415 - as above

        stands = self.agreed_until is None or now < self.agreed_until
        cells = np.full(len(registry), ConsentCell.YES if stands else ConsentCell.EXPIRED, np.uint8)
        bits = weigh(registry, cells, self.evidence)
        if self.evidence is Evidence.EITHER:
            bits |= registry & np.uint8(Drop.CONSENT_EXPIRED)
        return bits

    def document(self) -> dict[str, Any]:
        """The JSON object that `of` reads."""
        return {
            "rule": self.rule.document(),
            "evidence": self.evidence.value,
            "agreed_until": self.agreed_until,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Use:
        """The use that a document states; fails in various ways where it states none."""
        return cls(Rule.of(document["rule"]), Evidence(document["evidence"]), document["agreed_until"])


@dataclass(frozen=True, slots=True)
class ListTerms:
    """What a list's policy said of its people and of what may be handed out.

    `columns`: what was done to each column of the clean list, in order. `hash_as`: `keyed`, or the contract
    under which numbers may be handed out hashed. `phones`: whether they may be handed out.
    """

    use: Use
    audience: str
    columns: Mapping[str, Action]
    format: str
    hash_as: str
    phones: bool

    def use_by(self, sender: str) -> Use:
        """The use by one sender: what was refused to it counts, whatever the policy's scopes."""
        rule = self.use.rule
        if name_of(sender) == rule.sender and "sender" in rule.scopes:
            return self.use
        return replace(self.use, rule=replace(rule, recipient=sender))

    def document(self) -> dict[str, Any]:
        """The JSON object that `of` reads."""
        return {
            "use": self.use.document(),
            "audience": self.audience,
            # a list of pairs: stores sort keys, and columns have an order
            "columns": [[name, action.value] for name, action in self.columns.items()],
            "format": self.format,
            "hash_as": self.hash_as,
            "phones": self.phones,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ListTerms:
        """The terms that a document states; fails in various ways where it states none."""
        columns = {str(name): Action(action) for name, action in document["columns"]}
        return cls(**{**document, "use": Use.of(document["use"]), "columns": columns})


def use_of(rule: Rule, evidence: Evidence, made_at: int) -> Use:
    """The use of a list that was made at `made_at` (Unix seconds).

    The file's own yes was given before that, so its age counts from there at the latest.
    """
    ages = rule.max_age_days is not None and evidence is not Evidence.REGISTRY
    return Use(rule, evidence, made_at + (rule.max_age_days or 0) * DAY if ages else None)
