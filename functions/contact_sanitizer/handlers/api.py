"""The frame of every HTTP function: who calls, what may leave, and errors as problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict

from contact_sanitizer import errors
from contact_sanitizer.access import Caller, Role, principal_name, principal_word
from contact_sanitizer.errors import ContactSanitizerError, RequestError
from contact_sanitizer.handlers.journal import (
    Counted,
    Said,
    count,
    keep_others_quiet,
    place_of,
    reporting,
    say,
)
from contact_sanitizer.handlers.stage import CIRCUMSTANCES, Call, admit
from contact_sanitizer.listid import ListId

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

EVERYBODY: Final = frozenset(Role)
PROBLEM: Final = "application/problem+json"
Handler = Callable[[dict[str, Any], "LambdaContext"], dict[str, Any]]

_CORRELATION: Final = "correlation"
_STATUS: Final[Mapping[type[ContactSanitizerError], HTTPStatus]] = MappingProxyType(
    {
        errors.RequestError: HTTPStatus.BAD_REQUEST,
        errors.IntakeError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.PolicyError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.DeliveryError: HTTPStatus.FORBIDDEN,
        errors.RegistryError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.KeyringError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.CatalogueError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.AuditError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.HomeError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.OutputError: HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
_STATUS_BY_CODE: Final[Mapping[str, HTTPStatus]] = MappingProxyType(
    {
        "not_allowed": HTTPStatus.FORBIDDEN,
        "path_unknown": HTTPStatus.NOT_FOUND,
        "upload_unknown": HTTPStatus.NOT_FOUND,
        "delivery_unknown": HTTPStatus.NOT_FOUND,
        "quota_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
        "too_many_tokens": HTTPStatus.BAD_REQUEST,
        "cursor_refused": HTTPStatus.BAD_REQUEST,
        "form_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
        "list_damaged": HTTPStatus.SERVICE_UNAVAILABLE,
        "list_key_destroyed": HTTPStatus.GONE,
        "people_damaged": HTTPStatus.SERVICE_UNAVAILABLE,
        "people_gone": HTTPStatus.GONE,
        "list_unknown": HTTPStatus.NOT_FOUND,
        "list_exists": HTTPStatus.CONFLICT,
        "catalogue_busy": HTTPStatus.CONFLICT,
        "removal_refused": HTTPStatus.CONFLICT,
        "number_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
        "event_refused": HTTPStatus.UNPROCESSABLE_ENTITY,
        "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)


class Body(BaseModel):
    """A request's or an answer's JSON object; what it does not name is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Problem(BaseModel):
    """What went wrong (RFC 9457). `code` is stable; `detail` is one sentence that quotes nothing."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str


def routes() -> Router:
    """An empty set of routes."""
    return Router()  # type: ignore[no-untyped-call] # Powertools leaves it so


def enter(router: Router, roles: AbstractSet[Role], operation: str) -> Call:
    """The present call, where its caller has one of `roles`; `RequestError` (`not_allowed`) otherwise."""
    event, context = router.current_event.raw_event, router.lambda_context
    return admit(_caller(event, context), roles, operation, ListId(router.context[_CORRELATION]))


def function_of(router: Router) -> Handler:
    """The function that answers a router's calls."""
    app = resolver_of(router)
    keep_others_quiet()

    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        correlation = CIRCUMSTANCES.new_id()
        app.context[_CORRELATION] = correlation
        with reporting(context.aws_request_id, correlation=correlation):
            try:
                answer = app.resolve(event, context)
            except Exception as error:  # noqa: BLE001 - the last fence: the runtime would print others' words
                answer = _as_event(_unexpected(error, correlation))
            say(Said.ANSWERED, status=int(answer["statusCode"]))
        return answer

    return handler


def resolver_of(*routers: Router) -> APIGatewayHttpResolver:
    """The routes of all `routers`, with our errors for theirs."""
    app = APIGatewayHttpResolver(enable_validation=True)
    for router in routers:
        app.include_router(router)

    def refused(error: ContactSanitizerError) -> Response[str]:
        say(Said.REFUSED, code=error.code)
        count(Counted.CALLS_REFUSED)
        return _problem(error, str(app.context.get(_CORRELATION, "")))

    app.exception_handler(ContactSanitizerError)(refused)
    app.exception_handler(RequestValidationError)(
        lambda error: refused(RequestError("request_invalid", _complaint(error)))
    )
    app.exception_handler(Exception)(lambda error: _unexpected(error, str(app.context.get(_CORRELATION, ""))))
    app.not_found(lambda _error: refused(RequestError("path_unknown", "there is nothing at this path")))
    return app


def _problem(error: ContactSanitizerError, correlation: str) -> Response[str]:
    """An error as its caller sees it."""
    classes = [status for kind, status in _STATUS.items() if isinstance(error, kind)]
    status = _STATUS_BY_CODE.get(error.code) or (classes or [HTTPStatus.INTERNAL_SERVER_ERROR])[0]
    document = Problem(
        type=f"urn:contact-sanitizer:error:{error.code}",
        title=error.code.replace("_", " "),
        status=status.value,
        detail=error.message,
        code=error.code,
        instance=f"urn:contact-sanitizer:call:{correlation}",
    )
    return Response(status.value, PROBLEM, document.model_dump_json(), {"Cache-Control": "no-store"})


def _unexpected(error: Exception, correlation: str) -> Response[str]:
    say(Said.UNEXPECTED, error=type(error).__name__, place=place_of(error))
    count(Counted.UNEXPECTED)
    return _problem(
        RequestError("internal", "something unexpected happened; nothing more is known"), correlation
    )


def _as_event(response: Response[str]) -> dict[str, Any]:
    headers = {"Content-Type": PROBLEM, "Cache-Control": "no-store"}
    return {"statusCode": response.status_code, "headers": headers, "body": response.body}


def _complaint(error: RequestValidationError) -> str:
    """What is wrong with a request, by our own fields' names and pydantic's words; no value is in it."""
    first = error.errors()[0]
    kind = str(first["type"])
    # What follows is then a name that the caller made up, or a place in text that is no JSON.
    parts = first["loc"][:-1] if kind in {"extra_forbidden", "json_invalid"} else first["loc"]
    where = ".".join(map(str, parts)) or "body"
    return f"the request is not as it should be: {where}: {kind}"


def _caller(event: Mapping[str, Any], context: LambdaContext) -> Caller:
    """Who calls, as the API's authorizer says; nobody where it says nothing."""
    authorizer = event.get("requestContext", {}).get("authorizer") or {}
    iam, claims = authorizer.get("iam"), (authorizer.get("jwt") or {}).get("claims")
    try:
        if iam:
            name = principal_name(str(iam["userArn"]))
            account = context.invoked_function_arn.split(":")[4]
            word = principal_word(name, str(iam.get("userId", "")))
            return Caller(name, word, at_home=str(iam.get("accountId")) == account)
        if claims:
            name = principal_name(f"jwt:{claims['iss']}#{claims.get('sub') or claims['client_id']}")
            return Caller(name, principal_word(name))
    except (RequestError, KeyError, IndexError):
        pass
    return Caller("nobody", "unknown")
