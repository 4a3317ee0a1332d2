"""MiniStack, an emulator of AWS, on loopback.

It checks signatures and policies, runs functions under their execution roles and serves TLS, so that what a
template allows and forbids is what happens. It starts with an environment of its own: functions inherit it,
and nothing of this machine may be in there.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
TOOLS: Final = ROOT / ".venv-cloud" / "bin"
WITNESS: Final = Path(__file__).with_name("witness.py")
REGION: Final = "eu-central-1"
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 10
_TELL_SECONDS: Final = 60


class RehearsalError(Exception):
    """The application could not be built, deployed or reached; says what the tool said last."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the HTTP API answered."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the emulator's IAM said to one call: `principal` and `resource` are ARNs."""

    principal: str
    action: str
    resource: str
    allowed: bool


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Emulator:
    """One emulator; `endpoint` is its address, `folder` holds what is its own.

    `witnessed`: what its IAM decides is written down, and `memory` tells all that it holds.
    """

    def __init__(self, *, witnessed: bool = False) -> None:
        self.folder: Final = Path(tempfile.mkdtemp(prefix="rehearsal-"))
        self.port: Final = free_port()
        self.endpoint: Final = f"https://127.0.0.1:{self.port}"
        self._witnessed: Final = witnessed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def certificate(self) -> Path:
        """The certificate that the emulator shows."""
        return self.folder / "server.crt"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = {
            "PATH": tools_path(),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(self.certificate),
            "MINISTACK_SSL_KEY": str(self.folder / "server.key"),
        }
        _make_certificate(self.certificate, self.folder / "server.key")
        with (self.folder / "emulator.log").open("wb") as log:
            self._process = subprocess.Popen(
                [TOOLS / "python", WITNESS, self.folder] if self._witnessed else [TOOLS / "ministack"],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if self.answer(urllib.request.Request(f"{self.endpoint}/_ministack/health")).status == 200:  # noqa: S310 - https to loopback
                    return
            except OSError:
                time.sleep(0.1)
        raise RehearsalError(f"the emulator does not start: {_tail(self.folder / 'emulator.log')}")

    def stop(self) -> None:
        """End it with all that it runs, and leave nothing behind."""
        if self._process is not None:
            # functions run as its children, in its session
            _end(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def answer(self, request: urllib.request.Request) -> Answer:
        """What it, or what runs in it, answers."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(request, context=context, timeout=60) as response:  # noqa: S310 - https to loopback
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())

    def decisions(self) -> Iterator[Decision]:
        """What the emulator's IAM has decided up to now, where it is witnessed."""
        for line in (self.folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines():
            yield Decision(**json.loads(line))

    def memory(self) -> Iterator[tuple[str, bytes]]:
        """All text, numbers and bytes that the emulator holds now, and where, where it is witnessed."""
        written = self.folder / "memory.jsonl"
        written.unlink(missing_ok=True)
        os.kill(self.process_id, signal.SIGUSR1)
        deadline = time.monotonic() + _TELL_SECONDS
        while not written.exists():
            if time.monotonic() > deadline:
                raise RehearsalError("the emulator does not tell what it holds")
            time.sleep(0.1)
        with written.open(encoding="utf-8") as lines:
            for line in lines:
                place, content = json.loads(line)
                yield place, base64.b64decode(content)

    @property
    def process_id(self) -> int:
        """The emulator's own process."""
        if self._process is None:
            raise RehearsalError("the emulator does not run")
        return self._process.pid


def _end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(_STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _make_certificate(certificate: Path, key: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)


def tools_path() -> str:
    """The tools' own Python 3.13 first: `sam build` refuses a shim."""
    return os.pathsep.join([str(TOOLS), str(ROOT / ".venv" / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""
