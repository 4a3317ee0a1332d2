"""The description of the HTTP API, made from the functions that answer it; as a program it prints it."""

from __future__ import annotations

import json
import sys
from typing import Any

from contact_sanitizer import __version__
from contact_sanitizer.handlers import (
    checkpoint,
    deliver,
    lists,
    recalls,
    record_choice,
    redeem,
    request_upload,
    show_upload,
    trace,
)
from contact_sanitizer.handlers.api import PROBLEM, Problem, resolver_of

_SUMMARY = """Upload contact lists, record consents and opt-outs, see what was made, fetch and redeem.

Calls are signed with AWS Signature Version 4 for the service `execute-api`. Phones travel in bodies alone."""


def document() -> str:
    """The OpenAPI document, as JSON that differs only where the API does."""
    functions = (
        request_upload,
        show_upload,
        lists,
        record_choice,
        deliver,
        recalls,
        redeem,
        trace,
        checkpoint,
    )
    routers = [function.router for function in functions]
    # Routes know one set of routes that they are in: afterwards it is their function's again.
    owners = [router.api_resolver for router in routers]
    app = resolver_of(*routers)
    for router, owner in zip(routers, owners, strict=True):
        router.api_resolver = owner
    made: dict[str, Any] = json.loads(
        app.get_openapi_json_schema(title="Contact Sanitizer", version=__version__, description=_SUMMARY)
    )
    made.pop("servers", None)
    schemas = made["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    refusal = {"content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for operations in made["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "A problem (RFC 9457)", **refusal}
            operation["security"] = [{"sigv4": []}]
    made["components"]["securitySchemes"] = {
        "sigv4": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "x-amazon-apigateway-authtype": "awsSigv4",
        }
    }
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
