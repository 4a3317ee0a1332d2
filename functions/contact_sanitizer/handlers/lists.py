"""GET /lists, GET /lists/{id}: which lists were made; and the document that describes this API."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from contact_sanitizer.access import Role
from contact_sanitizer.audit.events import Action
from contact_sanitizer.catalogue import Catalogue, ListEntry
from contact_sanitizer.errors import OutputError
from contact_sanitizer.handlers.api import EVERYBODY, Body, enter, function_of, routes
from contact_sanitizer.handlers.show_upload import Id
from contact_sanitizer.listid import parse_list_id
from contact_sanitizer.outputs.manifest import rfc3339

router: Final = routes()


class ListSummary(Body):
    """One list: its state (`making`, `made`, `failed`), its policy, and its rows by outcome."""

    list_id: str
    state: str
    policy: str
    started_at: str
    counts: dict[str, int]


class ListPage(Body):
    """Lists, oldest first; where `next` is there, ask again with `after` set to it."""

    lists: list[ListSummary]
    next: str | None = None


class ListShown(ListSummary):
    """One list; `manifest` for operators and security alone, since it tells every reason."""

    manifest: dict[str, Any] | None = None


@router.get("/lists", summary="Which lists were made", operation_id="listLists")
def get_lists(
    after: Annotated[str, Query(max_length=26)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ListPage:
    """The caller's tenant's lists."""
    call = enter(router, EVERYBODY, "listLists")
    page = list(islice(Catalogue(call.world.records).entries(after), limit + 1))
    more = page[limit - 1].list_id if len(page) > limit else None
    return ListPage(lists=[ListSummary(**_summary(entry)) for entry in page[:limit]], next=more)


@router.get("/lists/<list_id>", summary="One list", operation_id="showList")
def get_list(list_id: Id) -> ListShown:
    """One list of the caller's tenant."""
    call = enter(router, EVERYBODY, "showList")
    known = parse_list_id(list_id)
    entry = Catalogue(call.world.records).get(known) if known else None
    if entry is None:
        raise OutputError("list_unknown", "no list of that id was made here")
    call.announce(Action.LIST_SHOWN, list_id=entry.list_id)
    manifest = None
    if call.admission.serves_as(Role.SECURITY) or call.admission.serves_as(Role.OPERATOR):
        manifest = json.loads(entry.manifest or "null")
    return ListShown(**_summary(entry), manifest=manifest)


@router.get("/openapi.json", summary="This document", operation_id="showApi")
def get_api() -> Response[str]:
    """The description of this API (OpenAPI 3.1)."""
    enter(router, EVERYBODY, "showApi")
    return Response(200, "application/json", _api())


@cache
def _api() -> str:
    return files("contact_sanitizer.handlers").joinpath("openapi.json").read_text(encoding="utf-8")


def _summary(entry: ListEntry) -> dict[str, Any]:
    return {
        "list_id": entry.list_id,
        "state": entry.state,
        "policy": entry.policy,
        "started_at": rfc3339(entry.started_at),
        "counts": {
            "rows": entry.rows,
            "kept": entry.kept,
            "dropped": entry.dropped,
            "rejected": entry.rejected,
        },
    }


handler = function_of(router)
