"""The process of `contact-sanitizer`: its signals, its streams and its exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from io import TextIOWrapper
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Stop in good order; the same signal again stops at once."""
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt


def _unraisable(ignored: sys.UnraisableHookArgs) -> None:
    """Where Python would print a traceback and go on: an interruption comes again, the rest is one line."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        sys.stderr.write(f"warning: internal: an unexpected {ignored.exc_type.__name__} was passed over\n")


def _handle(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    """Give the signals that stop us to `handler`; one that our caller ignores (`nohup`) stays ignored."""
    for number in _STOPPING:
        if signal.getsignal(number) not in {signal.SIG_IGN, None}:
            signal.signal(number, handler)


def main() -> None:
    """Run the command line of this process and exit with its status."""
    _handle(_stop)
    sys.unraisablehook = _unraisable
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A path or a policy's name that the terminal cannot show must not end a job.
            stream.reconfigure(errors="backslashreplace")
    try:
        # Only now: a signal during these imports finds its handler.
        from contact_sanitizer.cli.frame import run_command  # noqa: PLC0415 - as said above
        from contact_sanitizer.cli.root import root  # noqa: PLC0415 - as said above
    except KeyboardInterrupt:
        sys.exit("error: interrupted: stopped before anything was done")
    status = run_command(root, sys.argv[1:])
    _handle(signal.SIG_IGN)
    sys.exit(status)


if __name__ == "__main__":
    main()
