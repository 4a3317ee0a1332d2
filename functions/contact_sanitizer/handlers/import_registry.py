"""Files of consents and blocks that arrived go into the registry: the queue of S3's events."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from contact_sanitizer.handlers.journal import Counted, count
from contact_sanitizer.handlers.queue import Door, Left, function_of
from contact_sanitizer.handlers.spans import Span, span
from contact_sanitizer.handlers.stage import Call
from contact_sanitizer.intake.raw import Source
from contact_sanitizer.policyshelf import DEFAULT
from contact_sanitizer.receiving import Arrival, Reception, receive_register
from contact_sanitizer.registering.blocklists import BlockDefaults
from contact_sanitizer.registering.consentlists import ConsentDefaults
from contact_sanitizer.registering.imports import ImportReport, Occasion
from contact_sanitizer.uploading import IMPORT, Upload
from contact_sanitizer.workspace import Workspace


def _receive(arrival: Arrival, call: Call, reception: Reception, _left: Left) -> Upload:
    occasion = Occasion(arrival.list_id, arrival.upload_id)
    with call.workspace(occasion=occasion) as workspace:
        region = call.world.policies.get(DEFAULT).default_region
        return receive_register(arrival, reception, partial(_take, workspace, region))


def _take(workspace: Workspace, region: str, source: Source, folder: str) -> Mapping[str, int]:
    with span(Span.IMPORT):
        if folder == "consents":
            report = workspace.imports(region, _pass_over).consents(source, ConsentDefaults())
        else:
            report = workspace.imports(region, _pass_over).blocks(source, BlockDefaults())
    count(Counted.REGISTER_ROWS, report.rows)
    return _counts(report)


def _pass_over(_row: int, _outcome: str) -> None:
    """A row's outcome; only their numbers are kept."""


def _counts(report: ImportReport) -> Mapping[str, int]:
    return {"rows": report.rows, "refused": report.refused, **report.by_outcome, **report.warnings}


handler = function_of(Door("registry", IMPORT, "function/import_registry", _receive))
