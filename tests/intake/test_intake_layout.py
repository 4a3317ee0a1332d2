"""Headers, roles, and files without headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contact_sanitizer.errors import IntakeError
from contact_sanitizer.intake.headers import known_role, normal_header
from contact_sanitizer.intake.listfile import ColumnWish, Limits, ReadOptions, Role, inspect_list

Read = Callable[..., Any]

PHONE = ColumnWish("phone", Role.PHONE)
TOKEN = "ct_" + "Ab-_" * 11 + "xyz"


@pytest.mark.parametrize(
    "header",
    [
        "手机号",
        "手机号(必填)",
        "手机号（必填）",
        "*手机号",
        "手机号 *",
        "手机号：",
        "\ufeff手机号",
        "手 机 号",
        "【必填】手机号",
        "Phone",
        "PHONE：",
        "Ｐｈｏｎｅ",
        "phone_number",
        "Phone Number (required)",
        " Mobile  Phone ",
        "Tel.",
        "MobilePhone",
    ],
)
def test_decorated_phone_headers_are_known(read: Read, header: str) -> None:
    assert known_role(header) is Role.PHONE
    assert read(f"x,{header}\na,1\n".encode()).phones == ["1"]


@pytest.mark.parametrize(
    "header",
    [
        "紧急联系人电话",
        "推荐人电话",
        "家长电话",
        "业务员电话",
        "客服电话",
        "传真",
        "fax",
        "assistantphone",
        "phone2",
        "default address phone",
        "电话(紧急联系人)",
        "手机号归属地",
        "phone verified",
        "OPTIN_TIME",
        "Accepts Email Marketing",
        "",
    ],
)
def test_other_peoples_phones_and_other_consents_are_never_taken(header: str) -> None:
    assert known_role(header) is None


@pytest.mark.parametrize("header", ["是否同意", "短信授权", "SMS Consent", "opt-in", "Accepts SMS Marketing"])
def test_consent_headers_are_known(header: str) -> None:
    assert known_role(header) is Role.CONSENT


def test_normal_headers_differ_where_their_words_differ() -> None:
    assert normal_header("手机") != normal_header("手机号")
    assert normal_header("required phone") == "phone"


def code(read: Read, text: str, *wishes: ColumnWish) -> IntakeError:
    with pytest.raises(IntakeError) as caught:
        read(text.encode(), wishes)
    return caught.value


def test_two_phone_columns_are_refused_by_their_positions(read: Read) -> None:
    error = code(read, "name,手机,电话\na,1,2\n", PHONE)
    assert (error.code, "2, 3" in error.message) == ("phone_column_ambiguous", True)
    assert "手机" not in error.message


def test_a_pinned_header_is_the_only_one_that_counts(read: Read) -> None:
    pinned = ColumnWish("phone", Role.PHONE, ("电话",))
    assert read("手机,电话\n1,2\n".encode(), (pinned,)).phones == ["2"]
    assert code(read, "手机,x\n1,2\n", pinned).code == "column_missing"
    assert code(read, "13812345678\n13812345679\n", pinned).code == "column_missing"


def test_a_missing_column_is_named_by_the_policys_word(read: Read) -> None:
    error = code(read, "phone,a\n1,2\n", PHONE, ColumnWish("city"))
    assert (error.code, error.message.endswith("city")) == ("column_missing", True)
    assert code(read, "a,b\n1,2\n", PHONE).code == "phone_column_missing"
    assert code(read, "phone,city,City \n1,2,3\n", PHONE, ColumnWish("city")).code == "column_ambiguous"


def test_an_optional_column_may_be_absent(read: Read) -> None:
    outcome = read(b"phone,a\n1,2\n", (PHONE, ColumnWish("city", optional=True), ColumnWish("a")))
    assert outcome.cells == {"phone": ["1"], "a": ["2"]}


def test_two_wishes_may_take_one_column(read: Read) -> None:
    outcome = read(b"phone,a\n1,2\n", (PHONE, ColumnWish("copy", headers=("phone",))))
    assert outcome.cells == {"phone": ["1"], "copy": ["1"]}


def test_a_list_of_other_things_needs_no_phone(read: Read) -> None:
    wishes = (ColumnWish("purpose"), ColumnWish("status"))
    outcome = read(b"status,purpose\ngranted,marketing\n", wishes)
    assert outcome.cells == {"purpose": ["marketing"], "status": ["granted"]}


def test_without_header_the_one_column_of_phones_is_taken(read: Read) -> None:
    outcome = read("张三,13812345678,2024-01-01\n李四,+86 138-1234-5679,2024-01-02\n".encode())
    assert (outcome.records, outcome.phones) == ([1, 2], ["13812345678", "+86 138-1234-5679"])
    assert outcome.description.header_line is None


def test_without_header_doubt_refuses(read: Read) -> None:
    assert (
        code(read, "13812345678,13812345679\n13812345678,13812345679\n", PHONE).code
        == "phone_column_ambiguous"
    )
    assert code(read, "a,b\nc,d\n", PHONE).code == "phone_column_missing"
    assert code(read, "Contact No.,b\n13812345678,d\n", PHONE).code == "phone_column_missing"
    assert code(read, "a,13812345678\nb,13812345679\n", PHONE, ColumnWish("city")).code == "column_missing"


def test_a_list_that_was_made_here_is_refused(read: Read) -> None:
    for text in (f"phone,a\n{TOKEN},x\n", f"token,city\n{TOKEN},x\n{TOKEN},y\n", f"{TOKEN}\n{TOKEN}\n"):
        assert code(read, text, PHONE).code == "already_sanitized"


def test_a_repeated_header_is_an_ordinary_record(read: Read) -> None:
    assert read(b"phone,a\n1,x\nphone,a\n2,y\n").phones == ["1", "phone", "2"]


def test_a_header_longer_than_the_limit_is_refused(read: Read) -> None:
    text = b"phone," + b"x" * 1_001 + b"\n1,2\n"
    with pytest.raises(IntakeError, match="limit_header_chars"):
        read(text)
    assert read(text, options=ReadOptions(Limits(max_header_chars=1_001))).phones == ["1"]


def test_inspection_guesses_roles_and_refuses_no_ambiguity(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("名单,,,\n手机,电话,是否同意,x\n1,2,是,4\n".encode())
    seen = inspect_list(path, ReadOptions())
    assert [column.role for column in seen.columns] == [Role.PHONE, Role.PHONE, Role.CONSENT, None]
    assert [column.header for column in seen.columns] == ["手机", "电话", "是否同意", "x"]
    assert (seen.header_line, seen.format, seen.delimiter) == (2, "csv", ",")


def test_inspection_finds_phones_under_an_unknown_header(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"Contact No.,b\n13812345678,x\n")
    seen = inspect_list(path, ReadOptions())
    assert [column.role for column in seen.columns] == [Role.PHONE, None]
    assert seen.header_line == 1
