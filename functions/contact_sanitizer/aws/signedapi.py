"""An HTTP API of a stack: calls signed with AWS Signature Version 4, or made with somebody's token."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import get_cert_path
from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.errors import RequestError

TOKEN: Final = "CONTACT_SANITIZER_API_TOKEN"  # noqa: S105 - where a token stands, not one
"""The environment's token (a JWT), where an API takes those of an identity provider."""

TIMEOUT: Final = Timeout(connect=5, read=60)
ANY_ERROR: Final = (HTTPError, OSError, ValueError)
_RETRY: Final = Retry(
    total=4, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504), raise_on_status=False
)
_LONGEST_ANSWER: Final = 8 << 20


class RefusedError(Exception):
    """The API answered with an error; `status`: of HTTP, `code`: ours, empty where it told none."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status)
        self.status = status
        self.code = code


class StrangeError(Exception):
    """The API cannot be reached, or does not answer as it should."""


class SignedApi:
    """Calls an API in the name of whoever the credentials belong to; no server's words are in its errors."""

    def __init__(self, url: str, clients: Clients) -> None:
        self._url = url.rstrip("/")
        self._clients = clients

    def call(self, method: str, path: str, document: object = None) -> Mapping[str, Any]:
        """The JSON object that the API answers with.

        Raises `RefusedError`, `StrangeError`, and `RequestError` (`not_allowed`) without credentials.
        """
        body = None if document is None else json.dumps(document).encode()
        headers = self._headers(method, path, body)
        try:
            answer = self.pool.request(method, self._url + path, body=body, headers=headers, timeout=TIMEOUT)
            stated = json.loads(answer.data[:_LONGEST_ANSWER] or b"null")
        except ANY_ERROR:
            raise StrangeError from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise RefusedError(answer.status, str(stated.get("code", "")) if isinstance(stated, dict) else "")
        if not isinstance(stated, dict):
            raise StrangeError
        return stated

    def _headers(self, method: str, path: str, body: bytes | None) -> dict[str, str]:
        """What the call says of its caller: the token of an identity provider, or a signature."""
        plain = {"Content-Type": "application/json"}
        if token := os.environ.get(TOKEN):
            return {**plain, "Authorization": f"Bearer {token}"}
        request = AWSRequest(method, self._url + path, plain, body)
        credentials = self._clients.session.get_credentials()
        region = self._clients.session.region_name
        if credentials is None or region is None:
            raise RequestError("not_allowed", "there are no AWS credentials or no region to sign with")
        SigV4Auth(credentials, "execute-api", region).add_auth(request)
        return dict(request.headers.items())

    @cached_property
    def pool(self) -> PoolManager:
        """Connections that check certificates."""
        bundle = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True)
        return PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=bundle, retries=_RETRY, blocksize=1 << 18)
