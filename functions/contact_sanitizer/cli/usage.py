"""What is wrong with a command line, said without what was typed: an argument can be a phone or a name."""

from __future__ import annotations

import click

_OURS = __name__.partition(".")[0]


class Unsaid(click.UsageError):
    """A command line that lacks something; the message, ours, says what, and holds nothing that was typed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, click.get_current_context(silent=True))


def usage_sentence(error: click.ClickException) -> str:
    """One sentence on the mistake and where help is; no argument, option value or unknown name is in it."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "contact-sanitizer"
    return f"{_mistake(error)}; see '{command} --help'"


def _mistake(error: click.ClickException) -> str:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return "the command is missing"
    if isinstance(error, Unsaid | click.MissingParameter | click.BadOptionUsage):
        # Click says here which parameter it is, a known one, and that it lacks a value or takes none.
        return _without_end(error.format_message())
    if isinstance(error, click.BadParameter):
        return _bad_value(error)
    if isinstance(error, click.NoSuchOption):
        return "there is no such option" + _likely(error)
    # Click has no class of their own for these before 8.4.
    for start, sentence in (
        ("Missing command", "the command is missing"),
        ("No such command", "there is no such command" + _likely(error)),
        ("Got unexpected extra argument", "there are more arguments than the command takes"),
    ):
        if error.message.startswith(start):
            return sentence
    return "the command line cannot be understood"


def _bad_value(error: click.BadParameter) -> str:
    hint = error.param_hint or (error.param.get_error_hint(error.ctx) if error.param else None)
    name = hint if isinstance(hint, str) else " / ".join(hint or ["an option"])
    kind = error.param.type if error.param else None
    if isinstance(kind, click.Choice):
        return f"{name} is not one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.IntRange | click.FloatRange):
        return f"{name} is not a number {_range(kind)}"
    if kind is not None and not type(kind).__module__.startswith(_OURS):
        return f"{name} is not a valid {kind.name}"
    return f"{name} {error.message}"


def _range(kind: click.IntRange | click.FloatRange) -> str:
    if kind.max is None:
        return f"from {kind.min} on"
    return f"up to {kind.max}" if kind.min is None else f"from {kind.min} to {kind.max}"


def _likely(error: click.ClickException) -> str:
    """The names, ours, that the user may have meant."""
    names = getattr(error, "possibilities", None) or []
    return f", perhaps {' or '.join(sorted(names))}" if names else ""


def _without_end(sentence: str) -> str:
    plain = " ".join(sentence.split()).rstrip(".")
    return plain[:1].lower() + plain[1:]
