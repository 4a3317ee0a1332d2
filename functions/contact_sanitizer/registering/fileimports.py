"""Files of consents and blocklists from their announcement to what they came to, in whichever world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from contact_sanitizer.audit.events import Action, Outcome, plain_word
from contact_sanitizer.errors import ContactSanitizerError, IntakeError
from contact_sanitizer.intake.limits import Limits
from contact_sanitizer.intake.raw import ListSource, RawFile
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.protection.digests import UploadDigest
from contact_sanitizer.protection.sealing import seal_numbers
from contact_sanitizer.protection.subjects import subjects
from contact_sanitizer.registering.blocklists import BlockDefaults, import_blocklist
from contact_sanitizer.registering.consentlists import ConsentDefaults, import_consents
from contact_sanitizer.registering.desk import Desk, any_number
from contact_sanitizer.registering.hashlists import import_hashlist
from contact_sanitizer.registering.imports import ImportReport, ImportTools, Occasion
from contact_sanitizer.screening.foreign import HashContract

OnRow = Callable[[int, str], None]
"""Told each row's number and outcome."""


@dataclass(frozen=True, slots=True, repr=False)
class HashedList:
    """That a blocklist holds hashes: under a stated contract, or one that a number on the list proves."""

    contract: str = ""
    known_phone: str = ""


@dataclass(frozen=True, slots=True)
class FileImports:
    """Imports at a desk; `occasion`: what they follow from, where that may be told again."""

    desk: Desk
    on_row: OnRow
    occasion: Occasion | None = None

    def consents(self, source: ListSource, defaults: ConsentDefaults) -> ImportReport:
        """Record the consents and withdrawals of a file; announced before the first row, summed up after."""
        tools = self._tools(source)
        self._tell_once(Action.CONSENT_IMPORTED, digests={"file": tools.file_digest})
        return self._summed_up(tools, lambda: import_consents(source, tools, defaults))

    def blocks(
        self, source: ListSource, defaults: BlockDefaults, hashed: HashedList | None = None
    ) -> ImportReport:
        """Record the entries of a blocklist, of phones or of somebody else's hashes; announced likewise."""
        tools = self._tools(source)
        digests, scope = {"file": tools.file_digest}, plain_word(defaults.scope)
        self._tell_once(Action.BLOCK_IMPORTED, digests=digests, scope=scope)
        return self._summed_up(tools, lambda: self._blocks(source, tools, defaults, hashed))

    def _blocks(
        self, source: ListSource, tools: ImportTools, defaults: BlockDefaults, hashed: HashedList | None
    ) -> ImportReport:
        if hashed is None:
            with _hint_at_hashes():
                return import_blocklist(source, tools, defaults)
        known = ""
        if hashed.known_phone:
            known = self.desk.person(hashed.known_phone).block.rstrip(b"\0").decode("ascii")
        contract = HashContract.named(hashed.contract) if hashed.contract else None
        return import_hashlist(source, tools, defaults, contract=contract, known_digits=known)

    def _summed_up(self, tools: ImportTools, work: Callable[[], ImportReport]) -> ImportReport:
        """Do it, and say what it came to: a repeated import what was new, one that failed why."""
        digests = {"file": tools.file_digest}
        try:
            report = work()
        except BaseException as error:
            code = error.code if isinstance(error, ContactSanitizerError) else "interrupted"
            about: dict[str, Any] = self.occasion.about if self.occasion else {}
            failed = Outcome.FAILURE
            self.desk.announce(Action.REGISTRY_IMPORTED, outcome=failed, code=code, digests=digests, **about)
            raise
        counts = {"rows": report.rows, "refused": report.refused, **report.recorded}
        self._tell_once(Action.REGISTRY_IMPORTED, outcome=Outcome.SUCCESS, counts=counts, digests=digests)
        return report

    def _tell_once(self, action: Action, **particulars: Any) -> None:
        """Write one event of an import; where its occasion is told again it is the same, as it was first."""
        if self.occasion:
            particulars |= {"uid": self.occasion.event_id(action), **self.occasion.about}
        self.desk.announce(action, **particulars)

    def _tools(self, source: ListSource) -> ImportTools:
        desk = self.desk
        digest = UploadDigest(desk.keyring)
        with RawFile(source, Limits()) as raw:
            while content := raw.read(1 << 20):
                digest.update(content)
        return ImportTools(
            desk.registry,
            Normalizer(any_number(desk.default_region)),
            lambda blocks: (subjects(blocks, desk.keyring), seal_numbers(blocks, desk.keyring)),
            desk.now,
            desk.actor,
            digest.hexdigest(),
            desk.default_region,
            on_row=self.on_row,
        )


@contextmanager
def _hint_at_hashes() -> Iterator[None]:
    """A blocklist without phones may be one of hashes, which has to be said."""
    try:
        yield
    except IntakeError as error:
        if error.code != "phone_column_missing":
            raise
        message = "no column of phones was found; for a list of hashes say --contract or --known"
        raise IntakeError(error.code, message) from None
