"""Every error that leaves the package, each with a stable code.

::

    ContactSanitizerError
    ├── IntakeError        the file cannot be read as a contact list
    ├── PolicyError        the policy says something impossible
    ├── KeyringError       a key is missing, exposed, damaged or destroyed
    ├── RegistryError      consents and suppressions cannot be read or recorded
    ├── CatalogueError     what was made, delivered and allowed cannot be read or written
    ├── DeliveryError      a sender does not get what it asks for
    ├── HomeError          the home folder is locked, damaged or from a newer version
    ├── OutputError        results cannot be written
    ├── RequestError       a call cannot be answered as it was made, or not to this caller
    ├── AuditError         the trail cannot be written: what it announces does not happen
    └── PlanError          the numbering plan cannot be used

Promises: `code` is one of the class's `CODES` and never changes its meaning; `message` is one
sentence that holds no cell, phone, name or file name. Does not promise: the wording.
"""

from __future__ import annotations

from typing import ClassVar


class ContactSanitizerError(Exception):
    """What went wrong, as a stable `code` and one sentence for a person."""

    CODES: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, code: str, message: str) -> None:
        if code not in self.CODES:
            raise AssertionError(f"{type(self).__name__} has no code {code}")
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class IntakeError(ContactSanitizerError):
    """The file cannot be read as a contact list; nothing of it was used."""

    CODES = frozenset(
        {
            "file_missing",
            "file_unreadable",
            "file_empty",
            "file_binary",
            "file_truncated",
            "file_encrypted",
            "file_mislabelled",
            "file_damaged",
            "format_unsupported",
            "archive_not_single",
            "encoding_invalid",
            "quote_unterminated",
            "sheet_missing",
            "phone_column_missing",
            "phone_column_ambiguous",
            "column_missing",
            "column_ambiguous",
            "already_sanitized",
            "object_missing",
            "object_changed",
            "object_unreadable",
            "limit_bytes",
            "limit_inflated_bytes",
            "limit_ratio",
            "limit_rows",
            "limit_columns",
            "limit_cell_chars",
            "limit_header_chars",
            "limit_sheet_cells",
            "limit_entities",
        }
    )


class PolicyError(ContactSanitizerError):
    """The policy cannot be used; the sentence names the key and the line."""

    CODES = frozenset({"policy_missing", "policy_unreadable", "policy_syntax", "policy_invalid"})


class KeyringError(ContactSanitizerError):
    """A key cannot be used; nothing was protected or opened with it."""

    CODES = frozenset(
        {
            "keyring_missing",
            "keyring_exposed",
            "keyring_damaged",
            "keyring_newer",
            "keyring_unwritable",
            "keyring_denied",
            "keyring_unavailable",
            "key_unknown",
            "key_destroyed",
            "key_refused",
            "key_unconfirmed",
            "name_invalid",
            "recipient_invalid",
            "seal_failed",
            "token_malformed",
            "token_refused",
        }
    )


class RegistryError(ContactSanitizerError):
    """Consents and suppressions cannot be read or recorded; no row is released on their strength."""

    CODES = frozenset(
        {
            "registry_locked",
            "registry_damaged",
            "registry_newer",
            "registry_unwritable",
            "registry_unavailable",
            "register_stale",
            "contract_unknown",
            "contract_unproven",
            "removal_refused",
            "import_refused",
            "number_refused",
            "snapshot_damaged",
            "event_refused",
            "rule_refused",
        }
    )


class CatalogueError(ContactSanitizerError):
    """What was made, delivered and allowed cannot be read or written; nothing is handed out."""

    CODES = frozenset(
        {
            "catalogue_unavailable",
            "catalogue_unwritable",
            "catalogue_damaged",
            "catalogue_newer",
            "catalogue_busy",
        }
    )


class DeliveryError(ContactSanitizerError):
    """A sender does not get what it asks for; it learns nothing about anybody."""

    CODES = frozenset(
        {
            "sender_unknown",
            "sender_revoked",
            "sender_expired",
            "sender_exists",
            "sender_invalid",
            "purpose_refused",
            "right_missing",
            "form_refused",
            "quota_exceeded",
            "list_key_destroyed",
            "delivery_unknown",
            "people_damaged",
            "people_gone",
            "recalls_untold",
            "recipients_untold",
            "notice_unsent",
            "cursor_refused",
            "too_many_tokens",
        }
    )


class HomeError(ContactSanitizerError):
    """The home folder cannot be used as it is."""

    CODES = frozenset(
        {"home_unwritable", "home_damaged", "home_newer", "tenant_invalid", "stack_unavailable"}
    )


class OutputError(ContactSanitizerError):
    """Results cannot be written; no partial list is visible."""

    CODES = frozenset(
        {
            "out_unwritable",
            "out_full",
            "out_exists",
            "list_unknown",
            "list_exists",
            "list_claimed",
            "list_damaged",
            "list_busy",
            "erase_unfinished",
            "interrupted",
        }
    )


class RequestError(ContactSanitizerError):
    """A call cannot be answered as it was made, or not to this caller; nothing was done."""

    CODES = frozenset(
        {
            "not_allowed",
            "request_invalid",
            "request_too_large",
            "path_unknown",
            "internal",
            "principal_invalid",
            "message_invalid",
            "upload_unknown",
            "upload_reused",
            "upload_failed",
            "upload_pending",
            "upload_refused",
            "time_short",
            "trace_failed",
            "trace_incomplete",
        }
    )


class AuditError(ContactSanitizerError):
    """The trail cannot be written, and what it announces does not happen; or it cannot be relied on."""

    CODES = frozenset(
        {
            "audit_unwritable",
            "audit_damaged",
            "audit_missing",
            "audit_unsealed",
            "audit_key_exposed",
            "audit_key_damaged",
            "public_key_invalid",
            "note_malformed",
            "note_unsigned",
            "checkpoint_missing",
            "checkpoint_malformed",
            "checkpoint_unsigned",
            "checkpoint_behind",
            "checkpoint_disordered",
            "checkpoint_inconsistent",
            "entries_missing",
            "entries_damaged",
            "event_altered",
            "event_malformed",
            "event_repeated",
            "event_misdated",
            "event_unknown",
            "tile_missing",
            "tile_altered",
            "segment_missing",
            "segment_altered",
            "seal_altered",
            "seal_undone",
            "heartbeat_missed",
            "list_altered",
            "list_unannounced",
            "delivery_altered",
            "delivery_unannounced",
            "people_missing",
            "kept_denied",
            "kept_unreadable",
            "key_unannounced",
            "key_retired",
            "key_unfit",
            "lines_altered",
            "trail_missing",
            "trail_damaged",
            "proof_malformed",
            "proof_refused",
        }
    )


class PlanError(ContactSanitizerError):
    """The numbering plan cannot be used; no number was read."""

    CODES = frozenset({"plan_missing", "plan_damaged", "plan_mismatch"})
