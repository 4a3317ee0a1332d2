"""The uploads of a stack, by its API: calls signed with AWS Signature Version 4, files sent as forms."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import uuid4

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import get_cert_path
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.errors import RequestError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.uploading import UploadForm

_TIMEOUT: Final = Timeout(connect=5, read=60)
_RETRY: Final = Retry(
    total=4, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
)
_ANY_ERROR: Final = (HTTPError, OSError, ValueError)
_LONGEST_ANSWER: Final = 8 << 20


class UploadApi:
    """Implements `uploading.UploadService` by HTTP; what a server answers is repeated in no error."""

    def __init__(self, url: str, clients: Clients) -> None:
        self._url = url.rstrip("/")
        self._clients = clients

    def request(self, policy: str) -> tuple[str, UploadForm]:
        """A new upload's id and its form."""
        offer = self._call("POST", "/uploads", {"policy": policy})
        try:
            return str(offer["upload_id"]), UploadForm(str(offer["url"]), dict(offer["fields"]))
        except (KeyError, TypeError, ValueError):
            raise _strange() from None

    def show(self, upload_id: str) -> Mapping[str, Any]:
        """What the API says of an upload."""
        return self._call("GET", f"/uploads/{upload_id}")

    def send(self, form: UploadForm, file: Path, progress: Callable[[int], None]) -> None:
        """Send the file by the form; `progress` is told how many bytes have gone since last time."""
        with closing(LocalFile(file).open()) as content:
            size = content.seek(0, os.SEEK_END)
            content.seek(0)
            body = _Form(form.fields, content, progress)
            headers = {"Content-Type": body.content_type, "Content-Length": str(body.length(size))}
            try:
                answer = self._pool.request(
                    "POST", form.url, body=body, headers=headers, timeout=_TIMEOUT, retries=False
                )
            except _ANY_ERROR:
                raise RequestError("upload_failed", "the file could not be sent; try again") from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise RequestError("upload_failed", _store_said(answer.status))

    def _call(self, method: str, path: str, document: object = None) -> Mapping[str, Any]:
        body = None if document is None else json.dumps(document).encode()
        request = AWSRequest(method, self._url + path, {"Content-Type": "application/json"}, body)
        credentials = self._clients.session.get_credentials()
        region = self._clients.session.region_name
        if credentials is None or region is None:
            raise RequestError("not_allowed", "there are no AWS credentials or no region to sign with")
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        try:
            answer = self._pool.request(
                method, self._url + path, body=body, headers=dict(request.headers.items()), timeout=_TIMEOUT
            )
            stated = json.loads(answer.data[:_LONGEST_ANSWER] or b"null")
        except _ANY_ERROR:
            raise _strange() from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _problem(answer.status, stated)
        if not isinstance(stated, dict):
            raise _strange()
        return stated

    @cached_property
    def _pool(self) -> PoolManager:
        bundle = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True)
        return PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=bundle, retries=_RETRY, blocksize=1 << 18)


class _Form(io.RawIOBase):
    """A multipart form (RFC 7578), read as it is sent: the fields, then the file, never whole in memory."""

    def __init__(self, fields: Mapping[str, str], content: BinaryIO, progress: Callable[[int], None]) -> None:
        boundary = uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        # The name of a file can hold somebody's name or number: it stays here.
        start = 'Content-Disposition: form-data; name="file"; filename="list"\r\n'
        kind = "Content-Type: application/octet-stream\r\n\r\n"
        self._head = io.BytesIO(f"{head}--{boundary}\r\n{start}{kind}".encode())
        self._tail = io.BytesIO(f"\r\n--{boundary}--\r\n".encode())
        self._content = content
        self._progress = progress

    def length(self, size: int) -> int:
        """The form's length around a file of so many bytes."""
        return len(self._head.getvalue()) + size + len(self._tail.getvalue())

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end."""
        if data := self._head.read(size):
            return data
        if data := self._content.read(size):
            self._progress(len(data))
            return data
        return self._tail.read(size)


def _problem(status: int, stated: object) -> RequestError:
    """What the API refused, by its code where it is one of ours; its sentence is not repeated."""
    code = str(stated.get("code", "")) if isinstance(stated, dict) else ""
    if status == HTTPStatus.FORBIDDEN:
        return RequestError("not_allowed", "the API refuses: your role may not do this in this stack")
    if code in {"upload_unknown", "request_invalid"}:
        return RequestError(code, "the API refuses the request")
    if code.startswith("policy_") and code.replace("_", "").isalpha():
        return RequestError("upload_refused", f"the policy cannot be used: {code}")
    return _strange()


def _store_said(status: int) -> str:
    if status == HTTPStatus.FORBIDDEN:
        return "the form was refused: it holds for 15 minutes, ask for a new one"
    if status == HTTPStatus.BAD_REQUEST:
        return "the file was refused: it is empty or larger than the policy allows"
    return "the file could not be stored; try again"


def _strange() -> RequestError:
    return RequestError(
        "upload_failed", "the API cannot be reached or does not answer as it should; try again"
    )
