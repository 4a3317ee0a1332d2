from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from contact_sanitizer.errors import ContactSanitizerError, IntakeError, RegistryError
from contact_sanitizer.protection.tokens import TokenOpener
from contact_sanitizer.registering.blocklists import BlockDefaults
from contact_sanitizer.registering.consentlists import ConsentDefaults
from contact_sanitizer.screening.suppression import SuppressionReason
from desk import KEEPING, NOW, TERMS, agree, home_of, policy, run, workspace, write_csv

ANA, BEN, CLEO = "13812345678", "13912345679", "15012345670"

SPELLINGS = [
    "13812345678",
    "+8613812345678",
    "8613812345678",
    "008613812345678",
    "0086+13812345678",
    "+86 138 1234 5678",
    "138-1234-5678",
    "138.1234.5678",
    "(138)12345678",
    "１３８１２３４５６７８",
    "13812345678.0",
    "1.3812345678E+10",
    "'13812345678",
    "\t13812345678",
    '="13812345678"',
    "13812345678(张三)",
    "13812345678 微信同号",
    "电话：13812345678",
    "13812345678、010-64812345",
    "+868613812345678",
    "17951 13812345678",
    "138\u200b1234\u200b5678",
    "tel:+8613812345678",
    "013812345678",
]


def test_a_list_becomes_tokens_rejects_decisions_and_a_manifest(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    upload = write_csv(tmp_path / "list.csv", [["手机号", "note"], [ANA, "上海"], [BEN, "x"], ["45292", "y"]])
    result = run(place, upload, KEEPING)
    opened = TokenOpener(place.keyring, "shared").open(result.clean[0]["token"])
    assert opened == "86" + ANA
    assert [row["note"] for row in result.clean] == ["上海"]
    assert result.rejects == {3: "not_contactable", 4: "not_a_phone"}
    assert result.reasons == [None, "consent_missing", "not_a_phone"]
    document = json.loads((result.place / "manifest.json").read_text())
    assert document == result.manifest.document()
    assert document["format"] == "contact-sanitizer/manifest/v1"
    assert document["counts"]["rows"] == 3
    assert {output["name"] for output in document["outputs"]} == {
        "clean.csv",
        "rejects.csv",
        "decisions.parquet",
    }


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_blocked_number_is_never_kept_however_it_is_spelled(tmp_path: Path, spelling: str) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    upload = write_csv(tmp_path / "list.csv", [["手机号", "x"], [spelling, ""]])
    assert run(place, upload).reasons == [None]
    desk = place.desk("CN")
    desk.block(desk.person(ANA), "tenant", SuppressionReason.OPTED_OUT)
    assert run(place, upload).reasons == ["suppressed"]


def test_one_number_in_all_spellings_is_kept_once(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    result = run(place, write_csv(tmp_path / "l.csv", [["手机号", "x"], *([s, ""] for s in SPELLINGS)]))
    assert result.reasons == [None, *["duplicate"] * (len(SPELLINGS) - 1)]


def test_an_opt_out_note_anywhere_in_the_file_drops_every_row_of_the_number(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN])
    rows = [["手机号", "x"], [ANA, ""], [BEN, ""], ["138-1234-5678(已退订)", ""], ["+86" + ANA, ""]]
    result = run(place, write_csv(tmp_path / "l.csv", rows))
    assert result.reasons == ["suppressed", None, "opt_out_note", "suppressed"]


def test_a_no_in_the_consent_column_drops_rows_batches_before_and_with_workers_alike(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    fillers = [f"1500{number:07}" for number in range(1_000_000, 1_200_000)]
    agree(place, [ANA, BEN])
    header = ["手机号", "同意", "padding"]
    rows = [header, [ANA, "是", ""], [BEN, "", ""], *([f, "是", "x" * 50] for f in fillers), [ANA, "否", ""]]
    upload = write_csv(tmp_path / "l.csv", rows)
    assert upload.stat().st_size > 2 * (8 << 20) * 0.8
    result = run(place, upload)
    assert result.reasons[0] == "consent_withdrawn"
    assert result.reasons[1] is None
    assert result.reasons[-1] == "consent_withdrawn"
    assert len(result.clean) == 1
    assert result.manifest.counts.rows == len(rows) - 1
    beside = run(place, upload, workers=3)
    for name in ("clean.csv", "rejects.csv", "decisions.parquet"):
        assert (beside.place / name).read_bytes() == (result.place / name).read_bytes()


def test_a_no_beside_two_numbers_drops_the_rows_of_both(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN, CLEO])
    rows = [
        ["手机号", "同意"],
        [ANA, ""],
        [f"{ANA}/{BEN}", "否"],
        [BEN, "是"],
        [CLEO, ""],
        [f"{CLEO}-1234", "否"],
    ]
    result = run(place, write_csv(tmp_path / "l.csv", rows))
    gone = "consent_withdrawn"
    assert result.reasons == [gone, "multiple_numbers", gone, gone, "extension"]


def test_a_no_counts_also_in_a_column_that_the_policy_does_not_name(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN])
    rules = policy(("  consent: {role: consent, optional: true}\n", ""))
    rows = [["手机号", "短信授权"], [ANA, "是"], [BEN, ""], [ANA, "否"]]
    assert run(place, write_csv(tmp_path / "l.csv", rows), rules).reasons == [
        "consent_withdrawn",
        None,
        "consent_withdrawn",
    ]


def test_imported_refusals_reach_everybody_whom_a_cell_names(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN, CLEO])
    listed = write_csv(tmp_path / "l.csv", [["手机号", "x"], [ANA, ""], [BEN, ""], [CLEO, ""]])
    header = ["phone", "purpose", "channel", "status", "effective_at"]
    consents = [
        header,
        [f"{ANA}/{BEN}", "", "", "withdrawn", "2026-09-01"],
        [f"{CLEO}(已退订)", "a", "b", "granted", ""],
    ]
    results: list[tuple[int, str]] = []
    imports = place.imports("CN", lambda *row: results.append(row))
    imports.consents(write_csv(tmp_path / "c.csv", consents), ConsentDefaults())
    assert results == [(2, "recorded"), (3, "recorded")]
    assert run(place, listed).reasons == ["consent_withdrawn"] * 3
    blocks = write_csv(tmp_path / "b.csv", [["phone", "x"], [f"{ANA}、{BEN}", ""]])
    place.imports("CN", lambda _row, _outcome: None).blocks(blocks, BlockDefaults())
    assert run(place, listed).reasons == ["suppressed", "suppressed", "consent_withdrawn"]


def test_uploading_a_list_again_never_revives_a_withdrawn_consent(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    desk = place.desk("CN")
    agree(place, [ANA])
    desk.withdraw(desk.person(ANA), TERMS)
    upload = write_csv(tmp_path / "l.csv", [["手机号", "同意"], [ANA, "是"]])
    for evidence in ("registry", "column", "either"):
        rules = policy(("evidence: registry", f"evidence: {evidence}"))
        for _ in range(2):
            assert run(place, upload, rules).reasons == ["consent_withdrawn"]


def test_evidence_from_the_column_counts_where_the_policy_says_so(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    rows = [["手机号", "同意"], [ANA, ""], [BEN, "是"], [CLEO, "大概"]]
    upload = write_csv(tmp_path / "l.csv", rows)
    missing = "consent_missing"
    expected = {
        "registry": [None, missing, missing],
        "column": [missing, None, missing],
        "either": [None, None, missing],
    }
    for evidence, reasons in expected.items():
        result = run(place, upload, policy(("evidence: registry", f"evidence: {evidence}")))
        assert result.reasons == reasons
        assert "unknown_consent_words" in {warning.code for warning in result.manifest.warnings}


def test_the_same_run_gives_the_same_bytes_and_another_key_no_common_token(tmp_path: Path) -> None:
    upload = write_csv(tmp_path / "l.csv", [["手机号", "note"], [ANA, "a"], [BEN, "b"], ["x", "c"]])
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN])
    one, two = (run(place, upload, KEEPING) for _ in range(2))
    for name in ("clean.csv", "rejects.csv", "decisions.parquet"):
        assert (one.place / name).read_bytes() == (two.place / name).read_bytes()
    place.rotate_keys()
    three = run(place, upload, KEEPING)
    assert not {row["token"] for row in one.clean} & {row["token"] for row in three.clean}
    assert len(three.clean) == 2


@pytest.mark.parametrize("format_name", ["csv", "jsonl", "parquet"])
def test_every_output_format_holds_the_same_rows(tmp_path: Path, format_name: str) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    upload = write_csv(tmp_path / "l.csv", [["手机号", "x"], [ANA, ""], [BEN, ""]])
    result = run(place, upload, policy(("format: csv", f"format: {format_name}")))
    assert (result.place / f"clean.{format_name}").is_file()
    assert result.manifest.counts.kept == 1


def test_kept_columns_are_redacted_and_counted(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    rows = [["手机号", "note"], [ANA, f"备用 {BEN}，邮箱 ana@mail.example"]]
    result = run(place, write_csv(tmp_path / "l.csv", rows), KEEPING)
    assert BEN not in result.clean[0]["note"]
    assert "备用" in result.clean[0]["note"]
    assert result.manifest.counts.redacted == {"phone": 1, "email": 1}


def test_a_stale_register_stops_the_job_before_any_row(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    rules = policy(("{scopes: [global, tenant]}", "{scopes: [global, tenant], max_age_days: {global: 31}}"))
    upload = write_csv(tmp_path / "l.csv", [["手机号", "x"], [ANA, ""]])
    with pytest.raises(RegistryError, match="register_stale"):
        run(place, upload, rules, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_policy_that_names_a_missing_column_refuses_the_file(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    upload = write_csv(tmp_path / "l.csv", [["手机号", "x"], [ANA, ""]])
    rules = policy(("  phone: {role: phone}\n", "  phone: {role: phone}\n  citty: {do: keep}\n"))
    with pytest.raises(IntakeError, match=r"column_missing.*citty"):
        run(place, upload, rules)


def test_a_failed_run_is_in_the_audit_log_with_its_code_and_leaves_no_list(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    upload = tmp_path / "l.csv"
    upload.write_bytes(b"phone\n\xff\xfe\xff\n")
    with pytest.raises(ContactSanitizerError):
        run(place, upload, out=tmp_path / "out")
    events = {e["api"]["operation"]: e for e in map(json.loads, home_of(place).audit.lines())}
    assert events.keys() == {"home.created", "list.started", "list.failed"}
    assert events["list.failed"]["unmapped"]["code"]
    assert list((tmp_path / "out").iterdir()) == []


def test_events_come_before_their_effects(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    upload = write_csv(tmp_path / "l.csv", [["手机号", "x"], [ANA, ""]])
    audit = home_of(place).home.audit
    shutil.rmtree(audit / "segments")
    (audit / "segments").write_bytes(b"")
    with pytest.raises(ContactSanitizerError, match="audit_unwritable"):
        run(place, upload, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    desk = place.desk("CN")
    with pytest.raises(ContactSanitizerError, match="audit_unwritable"):
        desk.block(desk.person(ANA), "tenant", SuppressionReason.OPTED_OUT)
    assert place.registry.standing().change == 0


def test_consent_ends_with_its_age(tmp_path: Path) -> None:
    agree(workspace(tmp_path / "home"), [ANA])
    upload = write_csv(tmp_path / "l.csv", [["手机号", "x"], [ANA, ""]])
    age = 730 * 86_400
    for now, reason in ((1_780_000_000 + age - 1, None), (1_780_000_000 + age, "consent_expired")):
        later = workspace(tmp_path / "home", now * 1000)
        assert run(later, upload).reasons == [reason]


def test_a_list_of_numbers_without_a_header_is_a_list(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA])
    upload = tmp_path / "numbers.txt"
    upload.write_text(f"{ANA}\n{BEN}\n")
    result = run(place, upload)
    assert result.reasons == [None, "consent_missing"]
    assert [row["row"] for row in result.decisions] == [1, 2]


def test_what_was_kept_out_for_its_policy_is_told_apart(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home", NOW)
    rows = [["手机号", "x"], ["+852 9123 4567", ""], ["010-64812345", ""], ["13800138000", ""]]
    result = run(place, write_csv(tmp_path / "l.csv", rows))
    assert result.reasons == ["region_not_allowed", "fixed_line", "placeholder"]


@pytest.mark.parametrize("header", ["退订", "是否退订", "黑名单", "Opted Out", "do_not_contact", "DNC"])
def test_a_column_of_refusals_counts_whether_or_not_the_policy_names_it(tmp_path: Path, header: str) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN, "13812345680", "13812345681"])
    rows = [[ANA, "是"], [BEN, "否"], ["13812345680", ""], ["13812345681", "上周说不要了"]]
    upload = write_csv(tmp_path / "l.csv", [["手机号", header], *rows])
    assert run(place, upload).reasons == ["consent_withdrawn", None, None, "consent_withdrawn"]
    named = policy(
        (
            "  phone: {role: phone}\n",
            f"  phone: {{role: phone}}\n  left: {{role: refusal, from: ['{header}']}}\n",
        )
    )
    assert run(place, upload, named).reasons == ["consent_withdrawn", None, None, "consent_withdrawn"]


def test_several_columns_of_refusals_all_count_and_reach_earlier_rows(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN])
    rows = [[ANA, "否", "无"], [BEN, "0", "1"], ["+86 " + ANA, "TRUE", "-"]]
    upload = write_csv(tmp_path / "l.csv", [["手机号", "退订", "黑名单"], *rows])
    assert run(place, upload).reasons == ["consent_withdrawn"] * 3


def test_a_word_of_refusal_in_a_list_without_a_header_is_no_header(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    agree(place, [ANA, BEN])
    upload = write_csv(tmp_path / "l.csv", [[ANA, "张三"], [BEN, "退订"]])
    assert len(run(place, upload).reasons) == 2


def test_consents_of_people_whom_the_file_marks_as_gone_are_withdrawals(tmp_path: Path) -> None:
    place = workspace(tmp_path / "home")
    head = ["手机号", "purpose", "channel", "退订"]
    rows = [[ANA, "marketing", "sms", "是"], [BEN, "marketing", "sms", "否"]]
    source = write_csv(tmp_path / "c.csv", [head, *rows])
    place.imports("CN", lambda *_row: None).consents(source, ConsentDefaults())
    listed = write_csv(tmp_path / "l.csv", [["手机号"], [ANA], [BEN]])
    assert run(place, listed).reasons == ["consent_withdrawn", None]
