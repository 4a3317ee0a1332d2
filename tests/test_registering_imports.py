import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contact_sanitizer.embedded.registry import SqliteRegistry
from contact_sanitizer.errors import ContactSanitizerError, IntakeError, RegistryError
from contact_sanitizer.phone.kinds import NumberKind
from contact_sanitizer.phone.normalize import Normalizer
from contact_sanitizer.phone.rules import NumberRules
from contact_sanitizer.registering import imports
from contact_sanitizer.registering.blocklists import BlockDefaults, import_blocklist
from contact_sanitizer.registering.consentlists import ConsentDefaults, import_consents
from contact_sanitizer.registering.hashlists import import_hashlist
from contact_sanitizer.registering.imports import ImportReport, ImportTools
from contact_sanitizer.screening.consent import ConsentStatus
from contact_sanitizer.screening.foreign import HashContract
from contact_sanitizer.screening.recording import Candidates, ImportMark, PersonHistory
from contact_sanitizer.screening.rule import DAY, Rule

NOW = 1_750_000_000
NORMALIZER = Normalizer(
    NumberRules("CN", frozenset(NumberKind) - {NumberKind.NONE}, frozenset(), placeholders=False)
)
DEFAULTS = ConsentDefaults("marketing", "sms", source="form")


def protect(blocks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Not a keyed subject, but one that tells the same blocks from others."""
    digests = b"".join(hashlib.md5(block.tobytes()).digest() for block in blocks)  # noqa: S324 - no secret here
    return np.frombuffer(digests, np.uint8).reshape(-1, 16), blocks


def subject_of(digits: str) -> bytes:
    block = np.frombuffer(digits.encode().ljust(16, b"\0"), np.uint8).reshape(1, 16)
    return protect(block)[0].tobytes()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqliteRegistry]:
    with SqliteRegistry.open(tmp_path / "r.sqlite", tmp_path / "snapshots", create=True) as registry:
        yield registry


class Importer:
    """Writes a file and imports it, keeping the results of its rows."""

    def __init__(self, registry: SqliteRegistry, folder: Path) -> None:
        self.registry = registry
        self.folder = folder
        self.rows: list[tuple[int, str]] = []

    def tools(self, path: Path, now: int = NOW) -> ImportTools:
        self.rows = []
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ImportTools(
            self.registry,
            NORMALIZER,
            protect,
            now,
            "ann",
            digest,
            on_row=lambda row, word: self.rows.append((row, word)),
        )

    def file(self, text: str) -> Path:
        path = self.folder / "list.csv"
        path.write_text(text, encoding="utf-8")
        return path

    def consents(self, text: str, defaults: ConsentDefaults = DEFAULTS, now: int = NOW) -> ImportReport:
        path = self.file(text)
        return import_consents(path, self.tools(path, now), defaults)

    def blocks(self, text: str, **defaults: str) -> ImportReport:
        path = self.file(text)
        return import_blocklist(path, self.tools(path), BlockDefaults(**defaults))

    def hashes(
        self, text: str, contract: HashContract | None = None, known: str = "", **defaults: str
    ) -> ImportReport:
        path = self.file(text)
        return import_hashlist(
            path, self.tools(path), BlockDefaults(**defaults), contract=contract, known_digits=known
        )

    def history(self, digits: str) -> PersonHistory:
        block = digits.encode().ljust(16, b"\0")
        return self.registry.history(subject_of(digits), block)

    def words(self) -> list[str]:
        return [word for _, word in self.rows]


@pytest.fixture
def importer(registry: SqliteRegistry, tmp_path: Path) -> Importer:
    return Importer(registry, tmp_path)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(ContactSanitizerError) as caught:
        call()
    return caught.value.code


def test_every_row_of_a_consents_file_has_one_result(importer: Importer) -> None:
    report = importer.consents(
        "phone,purpose,channel,sender,status,effective_at,expires_at,source,reference,wording\n"
        "138 1234 5678,marketing,sms,brand-a,granted,2024-05-01T10:00:00Z,2026-05-01,form,order 7,v2\n"
        "13812345679,marketing,sms,,withdrawn,2024-05-01T10:00:00Z,,,,\n"
        "12,marketing,sms,,granted,,,,,\n"
        "13812345678,marketing,sms,,perhaps,,,,,\n"
        "13812345678,marketing,sms,,,,,,,\n"
        "13812345678,marketing,sms,,granted,soon,,,,\n"
        "+12015550123,billing,voice,,是,,,,,\n"
        "010-65551234,,,,否,,,,,\n"
    )
    assert importer.rows == [
        (2, "recorded"),
        (3, "recorded"),
        (4, "refused:too_short"),
        (5, "refused:status_unknown"),
        (6, "refused:status_missing"),
        (7, "refused:effective_at_unreadable"),
        (8, "recorded"),
        (9, "recorded"),
    ]
    assert (report.rows, report.refused, report.change) == (8, 4, 4)
    (event,) = importer.history("8613812345678").consents
    assert (event.purpose, event.sender, event.reference, event.wording) == (
        "marketing",
        "brand-a",
        "order 7",
        "v2",
    )
    assert event.effective_at == 1_714_557_600
    assert event.expires_at == 1_777_593_600
    assert event.sealed
    assert event.recorded_by == "ann"
    assert importer.history("861065551234").consents[0].status is ConsentStatus.WITHDRAWN


def test_without_a_status_column_rows_are_grants_and_defaults_fill_in(importer: Importer) -> None:
    importer.consents("phone,sender\n13812345678,brand-b\n", replace(DEFAULTS, sender="brand-a"))
    (event,) = importer.history("8613812345678").consents
    assert (event.status, event.purpose, event.channel) == (ConsentStatus.GRANTED, "marketing", "sms")
    assert (event.sender, event.source, event.effective_at) == ("brand-b", "form", None)


def test_a_grant_without_purpose_is_refused(importer: Importer) -> None:
    importer.consents("phone\n13812345678\n", ConsentDefaults())
    assert importer.words() == ["refused:purpose_or_channel_missing"]


def test_a_withdrawal_is_not_lost_for_its_date(importer: Importer) -> None:
    importer.consents("phone,status,effective_at\n13812345678,withdrawn,some day\n")
    assert importer.words() == ["recorded"]
    assert importer.history("8613812345678").consents[0].effective_at is None


def test_a_withdrawal_dated_by_day_outweighs_a_grant_of_that_day(importer: Importer) -> None:
    importer.consents(
        "phone,status,effective_at\n"
        "13812345678,granted,2024-05-01T10:00:00Z\n"
        "13812345678,withdrawn,2024-05-01\n"
    )
    rule = Rule("marketing", "sms")
    subjects = np.frombuffer(subject_of("8613812345678"), np.uint8).reshape(1, 16)
    with importer.registry.screening(rule, NOW) as screening:
        assert screening.screen(Candidates.of(subjects, subjects)).tolist() == [4]


@pytest.mark.parametrize("days", [0, 1])
def test_a_withdrawal_of_today_or_to_come_counts_at_once(importer: Importer, days: int) -> None:
    today = datetime.fromtimestamp(NOW, UTC).date()
    text = (
        "phone,status,effective_at\n"
        f"13812345678,granted,{today}T00:00:01Z\n"
        f"13812345678,withdrawn,{today + timedelta(days)}\n"
    )
    importer.consents(text)
    rule = Rule("marketing", "sms")
    subjects = np.frombuffer(subject_of("8613812345678"), np.uint8).reshape(1, 16)
    for now in (NOW, NOW + DAY):
        with importer.registry.screening(rule, now) as screening:
            assert screening.screen(Candidates.of(subjects, subjects)).tolist() == [4]
    importer.consents(text, now=NOW + 2 * DAY)
    assert importer.words() == ["already_there"] * 2


def test_consents_may_name_subjects_instead_of_phones(importer: Importer) -> None:
    subject = subject_of("8613812345678")
    importer.consents(f"subject hash,status\n{subject.hex()},granted\n12ab,granted\n")
    assert importer.words() == ["recorded", "refused:subject_hash_unreadable"]
    assert len(importer.registry.history(subject).consents) == 1


def test_a_file_with_neither_is_refused(importer: Importer) -> None:
    assert refused(lambda: importer.consents("name,status\nAnn,granted\n")) in {
        "import_refused",
        "phone_column_missing",
    }


@pytest.mark.parametrize(
    "text",
    [
        "phone\n13812345678\n13812345679\n",
        "phone,status\n13812345678,withdrawn\n13812345679,granted\n",
        "phone,status,effective_at\n13812345678,withdrawn,2024-05-01\n13812345679,granted,2024-05-01\n",
    ],
)
def test_importing_the_same_file_again_changes_nothing(importer: Importer, text: str) -> None:
    first = importer.consents(text)
    again = importer.consents(text, now=NOW + 5 * DAY)
    assert importer.words() == ["already_there"] * 2
    assert again.change == first.change


def test_a_blocklist_blocks_every_kind_of_number(importer: Importer) -> None:
    report = importer.blocks(
        "phone,scope,reason,source\n"
        "13812345678,,,\n"
        "010-65551234,global,regulator,dnc\n"
        "+12015550123,sender:brand-a,Complaint,\n"
        "13812345679,everywhere,,\n"
        "13812345679,,because,\n",
        scope="tenant",
    )
    assert importer.words() == ["recorded"] * 3 + ["refused:scope_or_reason_unknown"] * 2
    assert report.warnings["blocks_not_understood"] == 2
    entry = importer.history("861065551234").entries[0]
    assert (entry.scope, entry.reason) == ("global", "regulator")
    assert importer.history("8613812345678").entries[0].reason == "operator"
    assert importer.history("12015550123").entries[0].scope == "sender:brand-a"


def test_a_number_that_cannot_be_read_is_prominent_in_a_blocklist(importer: Importer) -> None:
    report = importer.blocks("phone\n13812345678\n1381234567\nhello\n")
    assert importer.words() == ["recorded", "refused:too_short", "refused:not_a_phone"]
    assert report.warnings == {"blocks_not_understood": 2}


def test_a_number_beside_an_opt_out_note_is_blocked(importer: Importer) -> None:
    importer.blocks("phone\n13812345678\n13812345679 已退订\n")
    assert importer.words() == ["recorded"] * 2
    assert importer.history("8613812345679").entries[0].scope == "tenant"


def test_a_blocklist_read_to_its_end_makes_its_registers_fresh(importer: Importer) -> None:
    importer.blocks("phone,scope\n13812345678,global\n13812345679,sender:a\n")
    assert importer.registry.standing().loaded_at == {"global": NOW, "sender:a": NOW}


@pytest.mark.parametrize("defaults", [{"scope": "world"}, {"reason": "none"}])
def test_impossible_defaults_are_refused_before_any_row(importer: Importer, defaults: dict[str, str]) -> None:
    assert refused(lambda: importer.blocks("phone\n13812345678\n", **defaults)) == "import_refused"
    assert importer.registry.standing().change == 0


def test_an_interrupted_import_goes_on_where_it_stopped(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "BATCH_ROWS", 10)
    path = importer.file("phone\n" + "".join(f"138123456{n:02}\n" for n in range(35)) + "12\n")
    tools = importer.tools(path)

    def stop_at_row(row: int, _: str) -> None:
        if row == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_blocklist(path, replace(tools, on_row=stop_at_row), BlockDefaults())
    assert importer.registry.standing().change == 30
    assert importer.registry.standing().loaded_at == {}
    importer.registry.record([], ImportMark("unrelated", 99))
    report = import_blocklist(path, importer.tools(path, NOW + 60), BlockDefaults())
    assert importer.words() == ["already_there"] * 30 + ["recorded"] * 5 + ["refused:too_short"]
    assert report.change == 35
    again = import_blocklist(path, importer.tools(path, NOW + 90), BlockDefaults())
    assert again.change == 35
    assert importer.words() == ["already_there"] * 35 + ["refused:too_short"]


def test_a_failing_registry_stops_the_import(importer: Importer) -> None:
    importer.registry.close()
    assert refused(lambda: importer.blocks("phone\n13812345678\n")) == "registry_unavailable"


@pytest.mark.parametrize("contract", list(HashContract))
@pytest.mark.parametrize("header", ["", "hash\n", "md5,scope\n"])
def test_a_known_number_proves_the_contract_of_a_hashed_list(
    importer: Importer, contract: HashContract, header: str
) -> None:
    numbers = [f"861381234567{n}" for n in range(4)]
    lines = [contract.digest(number.encode()).hex().upper() for number in numbers]
    tail = ",global" if "scope" in header else ""
    report = importer.hashes(
        header + "".join(f"{line}{tail}\n" for line in lines), known=numbers[2], scope="global"
    )
    assert report.contract == contract.word
    assert report.warnings == {}
    assert importer.history(numbers[0]).entries[0].scope == "global"
    assert importer.history("8613812345675").entries == ()


def test_a_stated_contract_is_taken_with_a_warning(importer: Importer) -> None:
    digest = HashContract.SHA256_PLUS.digest(b"8613812345678").hex()
    report = importer.hashes(f"{digest}\nnonsense\n{digest[:32]}\n", HashContract.SHA256_PLUS)
    assert report.warnings == {"contract_unproven": 1, "blocks_not_understood": 2}
    assert importer.words() == ["recorded", "refused:hash_unreadable", "refused:hash_unreadable"]


def test_a_hashed_list_without_contract_or_proof_is_refused(importer: Importer) -> None:
    digest = HashContract.MD5_DIGITS.digest(b"8613812345678").hex()
    assert refused(lambda: importer.hashes(f"{digest}\n")) == "contract_unknown"
    assert refused(lambda: importer.hashes(f"{digest}\n", known="8613812345679")) == "contract_unproven"
    wrong = HashContract.SHA1_PLUS
    assert refused(lambda: importer.hashes(f"{digest}\n", wrong, "8613812345678")) == "contract_unproven"
    assert importer.registry.standing().change == 0


def test_no_report_or_error_tells_a_number(importer: Importer) -> None:
    report = importer.blocks("phone\n13812345678\n")
    assert "13812345678" not in repr(report)
    with pytest.raises((IntakeError, RegistryError)) as caught:
        importer.consents("phone,phone\n13812345678,13812345679\n")
    assert "1381234" not in str(caught.value)
