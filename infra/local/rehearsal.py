"""The whole application on this machine: built, deployed on an emulator of AWS on loopback, taken down."""

from __future__ import annotations

import json
import os
import platform
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from emulator import REGION, ROOT, TOOLS, Answer, Emulator, RehearsalError, tools_path

BUILD: Final = ROOT / ".aws-sam" / "build"
STACK: Final = "rehearsal"
ARCHITECTURE: Final = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
_BUSY_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with credentials of their own."""

    name: str
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


#: Who deployed: the emulator takes these for the account's owner.
OWNER: Final = Person("owner", "test", "test")


def build() -> None:
    """`sam build` for this machine's processor; what has not changed is not built again."""
    # A cache for each processor: sam knows a cached layer by its sources alone, whatever it was built for.
    cache = ["--cached", "--cache-dir", f".aws-sam/cache-{ARCHITECTURE}", "--parallel"]
    _run(["build", *cache, "--parameter-overrides", f"Architecture={ARCHITECTURE}"], _tools_environment())


class Rehearsal:
    """One emulator with the application on it; ends with the `with` block, whatever happened.

    `witnessed`: as for `Emulator`.
    """

    def __init__(self, *, witnessed: bool = False) -> None:
        self.emulator: Final = Emulator(witnessed=witnessed)
        self.outputs: Mapping[str, str] = {}

    def start(self) -> None:
        """Start and deploy; what fails leaves nothing running."""
        try:
            self.emulator.start()
            self._deploy()
            self._finish_buckets()
        except BaseException:
            self.emulator.stop()
            raise

    def __enter__(self) -> Self:
        if not self.outputs:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.emulator.stop()

    @property
    def api(self) -> str:
        """Where the HTTP API answers: the name in the stack's output resolves on AWS only."""
        api_id = self.outputs["ApiUrl"].split("//")[1].split(".")[0]
        return f"{self.emulator.endpoint}/_aws/execute-api/{api_id}"

    def environment(self, person: Person) -> dict[str, str]:
        """The variables with which the product's command line works on this stack as `person`."""
        return {
            "AWS_ACCESS_KEY_ID": person.key_id,
            "AWS_SECRET_ACCESS_KEY": person.secret,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_CA_BUNDLE": str(self.emulator.certificate),
            "AWS_EC2_METADATA_DISABLED": "true",
            **({"CONTACT_SANITIZER_API_URL": self.api} if self.outputs else {}),
        }

    def client(self, service: Any, person: Person = OWNER) -> Any:
        """A client of a service with that person's credentials."""
        return boto3.client(
            service,
            endpoint_url=self.emulator.endpoint,
            region_name=REGION,
            aws_access_key_id=person.key_id,
            aws_secret_access_key=person.secret,
            aws_session_token=person.token,
            verify=str(self.emulator.certificate),
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
        return self.emulator.answer(
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
        return self.emulator.answer(urllib.request.Request(url, data, headers, method="POST"))  # noqa: S310 - https to loopback

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
        return self.emulator.answer(urllib.request.Request(url))  # noqa: S310 - https to loopback

    def logs(self) -> dict[str, list[str]]:
        """All lines that functions have logged, by log group."""
        logs = self.client("logs")
        groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
        return {
            group: [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]
            for group in groups
        }

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


def _tools_environment() -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in os.environ
        if name.startswith(("UV_", "PIP_", "SSL_CERT", "HTTP", "http", "no_proxy"))
    }
    return {
        **kept,
        "PATH": tools_path(),
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
