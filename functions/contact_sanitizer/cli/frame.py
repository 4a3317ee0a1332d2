"""The frame of every command: global options before or after its name, results, errors, exit status."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final

import click

from contact_sanitizer.cli.usage import usage_sentence
from contact_sanitizer.errors import ContactSanitizerError


@dataclass(slots=True)
class Options:
    """The global options, wherever on the line they stood."""

    home: Path = Path(".contact-sanitizer")
    stack: str | None = None
    tenant: str = "default"
    as_json: bool = False


def options_of(context: click.Context) -> Options:
    """The global options of the running command."""
    return context.find_root().ensure_object(Options)


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(context: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            setattr(options_of(context), name, value)

    return keep


def _global_options(*, at_root: bool) -> list[click.Parameter]:
    return [
        click.Option(
            ["--home"],
            type=click.Path(path_type=Path, file_okay=True),
            envvar="CONTACT_SANITIZER_HOME" if at_root else None,
            metavar="DIR",
            help="Where keys, registry and audit log live. [default: .contact-sanitizer]",
            expose_value=False,
            callback=_keep("home"),
        ),
        click.Option(
            ["--stack"],
            metavar="NAME",
            help="Work in a deployed AWS stack instead of a home.",
            expose_value=False,
            callback=_keep("stack"),
        ),
        click.Option(
            ["--tenant"],
            metavar="NAME",
            help="Whose keys and registry to use. [default: default]",
            expose_value=False,
            callback=_keep("tenant"),
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            help="Print one JSON document instead of text.",
            expose_value=False,
            callback=_keep("as_json"),
        ),
    ]


class Command(click.Command):
    """A command that takes the global options after its name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_options(at_root=False)]


class Group(click.Group):
    """A family of commands; members are imported when they are called."""

    command_class = Command

    def __init__(
        self,
        *args: Any,
        members: Mapping[str, tuple[str, str]] = MappingProxyType({}),
        at_root: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *_global_options(at_root=at_root)]
        self._members = members

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of their declaration, members first."""
        return [*self._members, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The member of that name."""
        if cmd_name in self._members:
            module, _, name = self._members[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with one line each; no member is imported for it."""
        width = formatter.width - 6 - max(map(len, self.list_commands(ctx)))
        own = [(name, self.commands[name].get_short_help_str(width)) for name in super().list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([*((name, text) for name, (_, text) in self._members.items()), *own])


def emit(context: click.Context, document: object, text: Callable[[], None]) -> None:
    """Print the result: `document` with `--json`, else what `text` prints."""
    if options_of(context).as_json:
        click.echo(_json(document, indent=2))
    else:
        text()


def say_unfinished(context: click.Context, error: ContactSanitizerError) -> None:
    """End with the status of `error`, which is said on standard error: standard output holds the result."""
    _report(error.code, error.message, as_json=options_of(context).as_json, beside=True)
    context.exit(REFUSED)


def _json(document: object, indent: int | None = None) -> str:
    """Readable where standard output can show it, else in ASCII: a replaced character is another name."""
    readable = json.dumps(document, ensure_ascii=False, indent=indent)
    try:
        readable.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return json.dumps(document, indent=indent)
    return readable


REFUSED: Final = 1
USAGE: Final = 2


def run_command(root: click.Command, arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status; no exception leaves, no traceback is printed."""
    try:
        status = root.main(args=list(arguments), prog_name="contact-sanitizer", standalone_mode=False)
        sys.stdout.flush()
    except (SystemExit, BrokenPipeError):
        # Whoever read our output has gone (Click and Rich exit then); there is nobody left to tell.
        _drop_output()
        return REFUSED
    except BaseException as error:  # noqa: BLE001 - the last fence: a third party's words could quote a cell
        return _refuse(error, as_json="--json" in arguments)
    return status if isinstance(status, int) else 0


def _refuse(error: BaseException, *, as_json: bool) -> int:
    """Say what ended a command; returns the exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not as_json:
        click.echo(error.format_message(), err=True)
        return USAGE
    code, message, status = _diagnosis(error)
    try:
        _report(code, message, as_json=as_json)
    except OSError:
        _drop_output()
    return status


def _diagnosis(error: BaseException) -> tuple[str, str, int]:
    """The code, the sentence and the exit status for what ended a command."""
    if isinstance(error, ContactSanitizerError):
        return error.code, error.message, REFUSED
    if isinstance(error, click.ClickException):
        return "usage", usage_sentence(error), USAGE
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "interrupted", "stopped before the end; the same command can be run again", REFUSED
    if isinstance(error, MemoryError):
        return "out_of_memory", "there was not enough memory; no list was made", REFUSED
    if isinstance(error, OSError) and _was_printing(error):
        _drop_output()
        code = "out_full" if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} else "out_unwritable"
        return code, "the work was done, but its result cannot be printed", REFUSED
    return "internal", f"an unexpected {type(error).__name__} {_place(error)}", REFUSED


def _report(code: str, message: str, *, as_json: bool, beside: bool = False) -> None:
    if as_json:
        document = _json({"error": {"code": code, "message": message}})
        click.echo(document, err=True)
        if not beside:
            click.echo(document)
    else:
        click.echo(f"error: {code}: {message}", err=True)


def _was_printing(error: OSError) -> bool:
    """Whether standard output refused it: nothing else is written by Click, by Rich or by this module."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__", ""))
    return module == __name__ or module.partition(".")[0] in {"click", "rich"}


def _drop_output() -> None:
    """Let what is still buffered go nowhere: the interpreter would complain about it in its own words."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _place(error: BaseException) -> str:
    """Where in our own code an unexpected error came from, for a report; no value is in it."""
    trace: TracebackType | None = error.__traceback__
    place = "outside the package"
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.startswith("contact_sanitizer"):
            place = f"at {module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{place}; please report it"
