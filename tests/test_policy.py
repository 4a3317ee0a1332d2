from __future__ import annotations

import hashlib
from pathlib import Path

import phonenumbers
import pytest

from contact_sanitizer.errors import PolicyError
from contact_sanitizer.policy import default_policy, load_policy, parse_policy
from contact_sanitizer.policy_text import DEFAULT_POLICY, EXAMPLE_POLICY
from contact_sanitizer.policy_words import REGIONS, Action


def complaint(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text.encode())
    return str(caught.value)


def test_the_example_is_a_policy_and_says_what_its_comments_say() -> None:
    policy = parse_policy(EXAMPLE_POLICY.encode())
    assert policy.consent.sender == "brand-a"
    assert policy.columns["city"].headers == ("城市", "city")
    assert dict(policy.written_columns) == {"city": Action.KEEP, "name": Action.MASK}
    assert policy.limits.max_bytes == 5 * 10**9


def test_the_default_is_marketing_by_sms_in_china() -> None:
    policy = default_policy()
    assert (policy.consent.purpose, policy.consent.channel, policy.default_region) == (
        "marketing",
        "sms",
        "CN",
    )
    assert not policy.written_columns


def test_the_digest_is_that_of_the_files_bytes(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(DEFAULT_POLICY)
    assert load_policy(file).sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_known_regions_are_those_of_the_numbering_plan() -> None:
    assert REGIONS == phonenumbers.SUPPORTED_REGIONS


def test_norway_is_a_region_and_not_a_boolean() -> None:
    text = DEFAULT_POLICY.replace("allow_regions: [CN]", "allow_regions: [CN, NO]")
    assert parse_policy(text.encode()).allow_regions == ("CN", "NO")


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "words"),
    [
        ("sender: brand-a", "sendr: brand-a", 24, "consent.sendr", "not a key"),
        ("default_region: CN", "default_region: XX", 6, "default_region", "region code"),
        ("allow_regions: [CN]", "allow_regions: [CN, 中国]", 8, "allow_regions.1", "region code"),
        ("allow_types: [mobile]", "allow_types: [mobil]", 11, "allow_types.0", "should be"),
        ("do: mask", "do: blur", 19, "columns.name.do", "should be"),
        ("{do: mask,", "{role: phone, do: mask,", 19, "columns.name", "exactly one"),
        ("max_age_days: 730", "max_age_days: 0", 27, "consent.max_age_days", "greater"),
        ("max_bytes: 5GB", "max_bytes: 5XB", 38, "limits.max_bytes", "size such as"),
        ("evidence: registry", "evidence: hearsay", 26, "consent.evidence", "should be"),
        ("  format: csv ", "  format: xls ", 36, "output.format", "should be"),
        ("disclose: coarse", "disclose: some", 36, "reports.disclose", "should be"),
        ("default_region: CN", "default_region: US", 6, "default_region", "leaves out"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_key(old: str, new: str, line: int, key: str, words: str) -> None:
    assert old in EXAMPLE_POLICY
    text = EXAMPLE_POLICY.replace(old, new, 1)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if new.strip("{") in row)
    said = complaint(text)
    assert said.startswith(f"policy_invalid: line {line}, key {key}: ")
    assert words in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DEFAULT_POLICY.replace("  phone: {role: phone}\n", ""), "exactly one column needs role phone"),
        (
            DEFAULT_POLICY.replace("evidence: registry", "evidence: column").replace(
                "  consent: {role: consent, optional: true}\n", ""
            ),
            "needs a column with role consent",
        ),
        (DEFAULT_POLICY.replace("[global, tenant]", "[sender]"), "scope sender needs consent.sender"),
        (DEFAULT_POLICY.replace("  phone:", "  token: {do: keep}\n  phone:"), "own first column"),
        (DEFAULT_POLICY.replace("allow_types: [mobile]", "allow_types: [fixed_line]"), "mobile"),
        (
            DEFAULT_POLICY.replace("  phone:", "  phone: {do: keep}\n  mobile:").replace(
                "audience: shared", "audience: shared, phones: true"
            ),
            "its own first column 'phone'",
        ),
        (
            DEFAULT_POLICY.replace("  phone:", "  hash: {do: keep}\n  phone:").replace(
                "audience: shared", "audience: shared, hash: 'sha256:+E164'"
            ),
            "its own first column 'hash'",
        ),
        (DEFAULT_POLICY.replace("audience: shared", "audience: shared, hash: sha256"), "should be"),
        (DEFAULT_POLICY + "name: again\n", f"line {DEFAULT_POLICY.count(chr(10)) + 1}: a key stands twice"),
        ("", "empty"),
        ("- just\n- a list\n", "mapping"),
        ("a: [", "line 1"),
        ("a: \x00", "characters"),
        ("[" * 40 + "]" * 40, "nested"),
    ],
)
def test_contradictions_and_broken_documents_are_refused(text: str, words: str) -> None:
    assert words in complaint(text)


def test_a_missing_key_is_named() -> None:
    assert "key default_region: is missing" in complaint(DEFAULT_POLICY.replace("default_region: CN\n", ""))


def test_a_policy_file_that_is_not_there_or_is_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="policy_missing"):
        load_policy(tmp_path / "no.yaml")
    with pytest.raises(PolicyError, match="policy_unreadable"):
        load_policy(tmp_path)
    big = tmp_path / "big.yaml"
    big.write_bytes(b"a" * ((1 << 20) + 1))
    with pytest.raises(PolicyError, match="policy_unreadable"):
        load_policy(big)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff")
    with pytest.raises(PolicyError, match="byte 6"):
        load_policy(tmp_path / "latin.yaml")
