"""The uploads of a stack, by its API: calls signed with AWS Signature Version 4, files sent as forms."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.signedapi import ANY_ERROR, TIMEOUT, RefusedError, SignedApi, StrangeError
from contact_sanitizer.errors import RequestError
from contact_sanitizer.intake.raw import LocalFile
from contact_sanitizer.uploading import UploadForm


class UploadApi:
    """Implements `uploading.UploadService` by HTTP; what a server answers is repeated in no error."""

    def __init__(self, url: str, clients: Clients) -> None:
        self._api = SignedApi(url, clients)

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
                answer = self._api.pool.request(
                    "POST", form.url, body=body, headers=headers, timeout=TIMEOUT, retries=False
                )
            except ANY_ERROR:
                raise RequestError("upload_failed", "the file could not be sent; try again") from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise RequestError("upload_failed", _store_said(answer.status))

    def _call(self, method: str, path: str, document: object = None) -> Mapping[str, Any]:
        try:
            return self._api.call(method, path, document)
        except RefusedError as error:
            raise _problem(error) from None
        except StrangeError:
            raise _strange() from None


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


def _problem(refused: RefusedError) -> RequestError:
    """What the API refused, by its code where it is one of ours; its sentence is not repeated."""
    code = refused.code
    if refused.status == HTTPStatus.FORBIDDEN:
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
