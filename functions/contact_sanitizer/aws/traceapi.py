"""One person's story, by the API of a stack: whoever asks needs no key and reads no bucket and no table."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from contact_sanitizer.aws.clients import Clients
from contact_sanitizer.aws.signedapi import RefusedError, SignedApi, StrangeError
from contact_sanitizer.errors import RequestError

_SEVERAL: Final = ("lists", "unread", "deliveries", "unread_deliveries", "redemptions")


class TraceApi:
    """Implements `tracing.service.TraceService` by HTTP; what a server answers is repeated in no error."""

    def __init__(self, url: str, clients: Clients) -> None:
        self._api = SignedApi(url, clients)

    def tell(self, phone: str, region: str) -> Mapping[str, Any]:
        """The whole story: leaf after leaf, put together."""
        wish = {"phone": phone, "region": region}
        whole = dict(self._leaf(wish))
        try:
            while after := whole["next"]:
                leaf = self._leaf({**wish, "after": after})
                for name in _SEVERAL:
                    whole[name] = [*whole[name], *leaf[name]]
                whole |= {"lists_read": whole["lists_read"] + leaf["lists_read"], "next": leaf["next"]}
        except (KeyError, TypeError):
            raise _strange() from None
        return whole

    def _leaf(self, wish: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return self._api.call("POST", "/trace", wish)
        except RefusedError as error:
            raise _problem(error) from None
        except StrangeError:
            raise _strange() from None


def _problem(refused: RefusedError) -> RequestError:
    if refused.status == HTTPStatus.FORBIDDEN:
        return RequestError("not_allowed", "the API refuses: your role may not do this in this stack")
    if refused.code in {"number_refused", "request_invalid"}:
        return RequestError("request_invalid", "the API refuses the phone: it reads no number there")
    if refused.code.replace("_", "").isalpha():
        return RequestError("trace_failed", f"the story cannot be told: {refused.code}")
    return _strange()


def _strange() -> RequestError:
    return RequestError(
        "trace_failed", "the API cannot be reached or does not answer as it should; try again"
    )
