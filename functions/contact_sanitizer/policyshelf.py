"""A tenant's policies by name, as the operator has put them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.policy import MAX_POLICY_BYTES, Policy, default_policy, parse_policy
from contact_sanitizer.ports import Objects

DEFAULT: Final = "default"
POLICY_NAME: Final = r"^[a-z][a-z0-9\-]{0,31}$"
"""What a policy is called on the shelf."""


@dataclass(frozen=True, slots=True)
class PolicyShelf:
    """Policies under `objects`: `NAME.yaml` each. The built-in one serves where no `default` was put."""

    objects: Objects

    def get(self, name: str) -> Policy:
        """The policy of that name; `PolicyError` where there is none (`policy_missing`) or it is unfit."""
        content = self.objects.get(_key(name))
        if content is None and name == DEFAULT:
            return default_policy()
        if content is None:
            raise PolicyError("policy_missing", "there is no policy of that name")
        return parse_policy(content)

    def put(self, name: str, content: bytes) -> Policy:
        """Keep a policy under a name, in place of what was there; `PolicyError` where it cannot be used."""
        if len(content) > MAX_POLICY_BYTES:
            raise PolicyError("policy_unreadable", "a policy is at most 1 MiB; is this the list itself?")
        policy = parse_policy(content)
        self.objects.put(_key(name), content, absent=False)
        return policy


def _key(name: str) -> str:
    if not re.match(POLICY_NAME, name):
        raise PolicyError("policy_missing", "a policy's name is up to 32 of a-z, 0-9 and '-'")
    return f"{name}.yaml"
