"""Global options, help and wrong usage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from commands import command
from contact_sanitizer import __version__
from contact_sanitizer.cli.people import Moment
from contact_sanitizer.cli.root import root
from contact_sanitizer.errors import ContactSanitizerError

PHONE = "13812345678"
GLOBAL = {"--home", "--stack", "--tenant", "--json", "--help"}


def every_command() -> Iterator[tuple[str, ...]]:
    """The words of every command and family."""
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), root)]
    while waiting:
        words, found = waiting.pop()
        yield words
        if isinstance(found, click.Group):
            context = click.Context(found)
            for name in found.list_commands(context):
                member = found.get_command(context, name)
                assert member is not None
                waiting.append(((*words, name), member))


COMMANDS = sorted(every_command())


def test_options_count_before_and_after_the_command(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "home"))
    options = (*home, "--tenant", "shop", "--json")
    before = command(*options, "init").document
    assert command("init", *options).document == before
    assert command(*home, "init", "--tenant", "shop", "--json").document == before
    assert command(*home, "--tenant", "shop", "keys", "--json", "list").document["keys"] == before["keys"]
    assert before["tenant"] == "shop"
    assert (tmp_path / "home" / "tenants" / "shop").is_dir()


def test_the_option_nearest_to_the_command_wins(tmp_path: Path) -> None:
    said = command("--home", tmp_path / "far", "--tenant", "a", "keys", "list", "--home", tmp_path / "near")
    assert said.status == 0
    assert [path.name for path in tmp_path.iterdir()] == ["near"]


def test_the_environment_names_the_home_and_an_option_overrules_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTACT_SANITIZER_HOME", str(tmp_path / "environment"))
    assert command("init").status == 0
    assert command("init", "--home", tmp_path / "option").status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environment", "option"]


def test_without_options_the_home_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTACT_SANITIZER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert command("init").status == 0
    assert [path.name for path in tmp_path.iterdir()] == [".contact-sanitizer"]


@pytest.mark.parametrize("words", [("--stack", "prod", "lists"), ("lists", "--stack", "prod")])
def test_a_stack_is_refused_and_no_home_is_made(words: tuple[str, ...], tmp_path: Path) -> None:
    assert command(*words, home=tmp_path / "home").code == "stack_unavailable"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        (f"--{PHONE}", "lists"),
        (f"-{PHONE}", "lists"),
        ("frobnicate", PHONE),
        (PHONE,),
        ("lists", PHONE),
        ("run", "list.csv", PHONE),
        ("run",),
        ("run", "list.csv", "--out"),
        ("run", PHONE, f"--json={PHONE}"),
        ("block", "add", PHONE, "--reason", f"two\nlines {PHONE}"),
        ("block", "add", PHONE, "--reason", PHONE[:4]),
        ("block", "add", PHONE, "--expires-at", PHONE),
        ("block", "show", PHONE, "--region", PHONE),
        ("block", "remove", PHONE),
        ("consent", "record", PHONE, "--purpose", "marketing"),
        ("consent", "record", PHONE, "--channel", "sms"),
        ("phone", "--region", "ZZ"),
        ("keys", "--json", "destroyed"),
    ],
)
def test_wrong_usage_is_two_and_says_where_help_is_without_what_was_typed(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    said = command(*words, home=tmp_path / "home")
    assert said.status == 2
    if "--json" in words:
        error = said.document["error"]
        assert json.loads(said.err) == said.document
    else:
        assert said.out == ""
        error = {"code": said.code, "message": said.err}
    assert error["code"] == "usage"
    assert "--help'" in error["message"]
    assert PHONE[:4] not in said.out + said.err
    assert not {"frobnicate", "destroyed", "list.csv", "ZZ"} & set(said.err.replace("'", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_or_out_of_range_is_said(tmp_path: Path) -> None:
    words = ("audit", "reconcile", tmp_path)
    assert "say whose reads: --stack NAME, or --log DIR" in command(*words).err
    assert "see 'contact-sanitizer audit reconcile --help'" in command(*words).err
    assert "with --log give --public-key" in command(*words, "--log", tmp_path).err
    said = command("senders", "add", "x", "--rows-a-day", "-1")
    assert "'--rows-a-day' is not a number from 0 on;" in said.err
    said = command("audit", "reconcile", tmp_path, "--window", "0")
    assert "'--window' is not a number from 1 to 1440;" in said.err


def test_a_mistyped_name_is_answered_with_the_likely_one() -> None:
    assert "perhaps --json" in command("lists", "--jsn").err
    assert "perhaps --purpose" in command("consent", "withdraw", "--purpos", "x", PHONE).err


@pytest.mark.parametrize("words", [(), ("consent",), ("block",), ("policy",), ("keys",)])
def test_a_family_alone_shows_its_help_as_wrong_usage(words: tuple[str, ...]) -> None:
    said = command(*words)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("Usage: contact-sanitizer")
    as_json = command(*words, "--json")
    assert as_json.status == 2
    assert as_json.document["error"]["code"] == "usage"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_help_page_tells_what_each_option_does(words: tuple[str, ...]) -> None:
    said = command(*words, "--help")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(" ".join(["Usage: contact-sanitizer", *words]))
    assert "\\b" not in said.out
    assert max(map(len, said.out.splitlines())) <= 80
    if words:
        assert all(option in said.out for option in GLOBAL)


def found(words: tuple[str, ...]) -> click.Command:
    """The command of these words."""
    command: click.Command = root
    for word in words:
        assert isinstance(command, click.Group)
        member = command.get_command(click.Context(command), word)
        assert member is not None
        command = member
    return command


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_explained(words: tuple[str, ...]) -> None:
    options = [parameter for parameter in found(words).params if isinstance(parameter, click.Option)]
    assert options
    assert all(option.help and option.help.rstrip().endswith((".", "]")) for option in options)


def test_whatever_takes_a_date_says_what_a_date_alone_means() -> None:
    dated = [
        parameter.help
        for words in COMMANDS
        for parameter in found(words).params
        if isinstance(parameter, click.Option) and isinstance(parameter.type, Moment)
    ]
    assert len(dated) >= 12
    meanings = ("A date alone means 00:00 UTC", "a date counts to its end (UTC)")
    assert [said for said in dated if not said or not any(each in said for each in meanings)] == []
    assert "day of UTC, whole" in " ".join(command("audit", "report", "--help").out.split())


def test_the_first_page_shows_how_to_begin() -> None:
    page = command("--help").out
    for step in ("policy example >", "consent import", "block import", "run contacts.csv"):
        assert f"    contact-sanitizer {step}" in page


def test_the_version_is_the_packages() -> None:
    assert command("--version").out == f"contact-sanitizer, version {__version__}\n"


def test_every_code_is_a_word_that_a_script_can_compare() -> None:
    classes = ContactSanitizerError.__subclasses__()
    codes = [code for error in classes for code in error.CODES]
    assert len(codes) == len(set(codes)) > 50
    assert all(code.replace("_", "").isalnum() and code.islower() for code in codes)
