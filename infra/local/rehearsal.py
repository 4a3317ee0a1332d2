"""The whole application on this machine: built, deployed on an emulator of AWS on loopback, taken down.

The emulator (MiniStack) checks signatures and policies, runs functions under their execution roles and
serves TLS, so that what the template allows and forbids is what happens. It starts with an environment of
its own: functions inherit it, and nothing of this machine may be in there.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

ROOT: Final = Path(__file__).resolve().parents[2]
TOOLS: Final = ROOT / ".venv-cloud" / "bin"
BUILD: Final = ROOT / ".aws-sam" / "build"
WITNESS: Final = Path(__file__).with_name("witness.py")
REGION: Final = "eu-central-1"
STACK: Final = "rehearsal"
ARCHITECTURE: Final = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 10
_BUSY_SECONDS: Final = 30


class RehearsalError(Exception):
    """The application could not be built, deployed or reached; says what the tool said last."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with credentials of their own."""

    name: str
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


#: Who deployed: the emulator takes these for the account's owner.
OWNER: Final = Person("owner", "test", "test")


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


def build() -> None:
    """`sam build` for this machine's processor; what has not changed is not built again."""
    # A cache for each processor: sam knows a cached layer by its sources alone, whatever it was built for.
    cache = ["--cached", "--cache-dir", f".aws-sam/cache-{ARCHITECTURE}", "--parallel"]
    _run(["build", *cache, "--parameter-overrides", f"Architecture={ARCHITECTURE}"], _tools_environment())


class Rehearsal:
    """One emulator with the application on it; ends with the `with` block, whatever happened.

    `witnessed`: what its IAM decides is written down, and `remember` tells all that it holds.
    """

    def __init__(self, *, witnessed: bool = False) -> None:
        self._witnessed: Final = witnessed
        self.folder: Final = Path(tempfile.mkdtemp(prefix="rehearsal-"))
        self.port: Final = free_port()
        self.endpoint: Final = f"https://127.0.0.1:{self.port}"
        self.outputs: Mapping[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and deploy; what fails leaves nothing running."""
        try:
            self._start()
            self._deploy()
            self._finish_buckets()
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        if not self.outputs:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def certificate(self) -> Path:
        """The certificate that the emulator shows."""
        return self.folder / "server.crt"

    @property
    def api(self) -> str:
        """Where the HTTP API answers: the name in the stack's output resolves on AWS only."""
        api_id = self.outputs["ApiUrl"].split("//")[1].split(".")[0]
        return f"{self.endpoint}/_aws/execute-api/{api_id}"

    def environment(self, person: Person) -> dict[str, str]:
        """The variables with which the product's command line works on this stack as `person`."""
        return {
            "AWS_ACCESS_KEY_ID": person.key_id,
            "AWS_SECRET_ACCESS_KEY": person.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"CONTACT_SANITIZER_API_URL": self.api} if self.outputs else {}),
        }

    def client(self, service: Any, person: Person = OWNER) -> Any:
        """A client of a service with that person's credentials."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=person.key_id,
            aws_secret_access_key=person.secret,
            aws_session_token=person.token,
            verify=str(self.certificate),
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )

    def person(
        self, name: str, policies: Sequence[str] = (), tags: Mapping[str, str] | None = None
    ) -> Person:
        """A new user with the stack's policies of those names (`Uploader`, ...) and the tags."""
        iam = self.client("iam")
        pairs = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
        iam.create_user(UserName=name, Tags=pairs)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=self.outputs[f"{policy}PolicyArn"])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Person(name, key["AccessKeyId"], key["SecretAccessKey"])

    def in_the_role_of(self, function: str, name: str) -> Person:
        """Whoever has the rights of a function of the template (`Seal`), and is called `name`."""
        arn = self.client("iam").get_role(RoleName=self.physical(f"{function}Role"))["Role"]["Arn"]
        # the emulator lets the account's owner be Lambda
        lent = self.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        return Person(name, lent["AccessKeyId"], lent["SecretAccessKey"], lent["SessionToken"])

    def call(self, person: Person | None, method: str, path: str, body: Any = None) -> Answer:
        """One request to the HTTP API, signed by `person`, or by nobody."""
        data = b"" if body is None else json.dumps(body).encode()
        request = AWSRequest(method, self.api + path, data=data, headers={"Content-Type": "application/json"})
        if person is not None:
            credentials = Credentials(person.key_id, person.secret, person.token)
            SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
        return self._answer(
            urllib.request.Request(self.api + path, data or None, dict(request.headers), method=method)  # noqa: S310 - https to loopback
        )

    def post_form(self, url: str, fields: Mapping[str, str], content: bytes) -> Answer:
        """A presigned form sent as a browser sends it."""
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="list"\r\n\r\n'
        data = b"".join([*parts, head.encode(), content, f"\r\n--{boundary}--\r\n".encode()])
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._answer(urllib.request.Request(url, data, headers, method="POST"))  # noqa: S310 - https to loopback

    def invoke(self, function: str) -> Any:
        """What a function of the template (`SealFunction`) answers to an empty event, once it is free."""
        deadline = time.monotonic() + _BUSY_SECONDS
        client = self.client("lambda")
        while True:
            try:
                answer = client.invoke(FunctionName=self.physical(function), Payload=b"{}")
                break
            except client.exceptions.TooManyRequestsException:
                if time.monotonic() > deadline:
                    raise RehearsalError(f"{function} is always busy") from None
                time.sleep(0.5)
        if "FunctionError" in answer:
            raise RehearsalError(f"{function} ended with an error")
        return json.loads(answer["Payload"].read())

    def physical(self, logical: str) -> str:
        """What a resource of the template is called in this stack."""
        found = self.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=logical
        )
        name: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return name

    def fetch(self, url: str) -> Answer:
        """What a link leads to."""
        return self._answer(urllib.request.Request(url))  # noqa: S310 - https to loopback

    def logs(self) -> dict[str, list[str]]:
        """All lines that functions have logged, by log group."""
        logs = self.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        return {
            group: [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
            for group in groups
        }

    def decisions(self) -> Iterator[Decision]:
        """What the emulator's IAM has decided up to now, where it is witnessed."""
        for line in (self.folder / "decisions.jsonl").read_text(encoding="utf-8").splitlines():
            yield Decision(**json.loads(line))

    def memory(self) -> Iterator[tuple[str, bytes]]:
        """All text, numbers and bytes that the emulator holds now, and where, where it is witnessed."""
        written = self.folder / "memory.jsonl"
        written.unlink(missing_ok=True)
        os.kill(self.process_id, signal.SIGUSR1)
        deadline = time.monotonic() + _BUSY_SECONDS
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

    def _answer(self, request: urllib.request.Request) -> Answer:
        context = ssl.create_default_context(cafile=str(self.certificate))
        try:
            with urllib.request.urlopen(request, context=context, timeout=60) as response:  # noqa: S310 - https to loopback
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read())

    def _start(self) -> None:
        environment = {
            "PATH": _path(),
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
                if self._answer(urllib.request.Request(f"{self.endpoint}/_ministack/health")).status == 200:  # noqa: S310 - https to loopback
                    return
            except OSError:
                time.sleep(0.1)
        raise RehearsalError(f"the emulator does not start: {_tail(self.folder / 'emulator.log')}")

    def _deploy(self) -> None:
        overrides = [f"Architecture={ARCHITECTURE}", "RetentionDays=1", "AuditLockMode=GOVERNANCE"]
        command = [
            "deploy",
            "--stack-name",
            STACK,
            "--resolve-s3",
            "--no-confirm-changeset",
            "--no-progressbar",
        ]
        command += [
            "--capabilities",
            "CAPABILITY_IAM",
            "CAPABILITY_AUTO_EXPAND",
            "--parameter-overrides",
            *overrides,
        ]
        _run(command, {**_tools_environment(), **self.environment(OWNER)})
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def _finish_buckets(self) -> None:
        """What the emulator's CloudFormation leaves out: encryption and the audit log's lock."""
        s3 = self.client("s3")
        rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.outputs["DataKeyArn"]}
        for bucket in ("UploadsBucket", "CleanBucket", "AuditBucket"):
            s3.put_bucket_encryption(
                Bucket=self.outputs[bucket],
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": rule, "BucketKeyEnabled": True}]
                },
            )
        lock = {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
        }
        s3.put_object_lock_configuration(Bucket=self.outputs["AuditBucket"], ObjectLockConfiguration=lock)

    def _stop(self) -> None:
        if self._process is not None:
            # functions run as its children, in its session
            _end(self._process)
        shutil.rmtree(self.folder, ignore_errors=True)


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


def _path() -> str:
    """The tools' own Python 3.13 first: `sam build` refuses a shim."""
    return os.pathsep.join([str(TOOLS), str(ROOT / ".venv" / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])


def _tools_environment() -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in os.environ
        if name.startswith(("UV_", "PIP_", "SSL_CERT", "HTTP", "http", "no_proxy"))
    }
    return {
        **kept,
        "PATH": _path(),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
        "ARCHITECTURE": ARCHITECTURE,
    }


def _run(arguments: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [TOOLS / "sam", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stdout + done.stderr)[-3000:]
        raise RehearsalError(f"sam {arguments[0]} failed:\n{last}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""
