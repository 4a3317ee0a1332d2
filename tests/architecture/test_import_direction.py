"""The rooms of the house and the direction of its arrows, as a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "functions" / "contact_sanitizer"

STEPS = ["intake", "phone", "screening", "protection", "outputs"]
GROUND = {"", "errors", "reasons", "listid"}
FOUNDATION = GROUND | {"policy", "policy_text", "policy_words"}
USE_CASES = {"job", "registering", "catalogue", "terms", "delivery", "tracing", "reporting"} | {
    "reconciling",
    "erasing",
}
DOORS = {"access", "arrivals", "policyshelf", "receiving", "redriving", "uploading"}

ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(GROUND, GROUND),
    "policy_text": FOUNDATION,
    "policy_words": FOUNDATION,
    "policy": FOUNDATION,
    **{step: FOUNDATION | set(STEPS[: number + 1]) for number, step in enumerate(STEPS)},
    "audit": FOUNDATION | {"audit", "protection", "ports"},
    "ports": FOUNDATION | {"intake", "screening", "protection", "outputs", "audit"},
    "terms": FOUNDATION | {"intake", "screening"},
    "catalogue": FOUNDATION | {"ports", "screening", "terms"},
    "delivery": FOUNDATION | {*STEPS, "audit", "ports", "catalogue", "terms", "job", "delivery"},
    "tracing": FOUNDATION | {*STEPS, "audit", "ports", "catalogue", "delivery", "registering", "tracing"},
    "reporting": FOUNDATION | {"audit", "ports", "outputs", "reporting"},
    "reconciling": FOUNDATION | {"audit", "ports", "access", "reporting", "reconciling"},
    "erasing": FOUNDATION
    | {*STEPS, "audit", "ports", "catalogue", "terms", "delivery", "registering", "tracing", "erasing"},
    "announcing": FOUNDATION | {"audit", "ports"},
    "access": FOUNDATION | {"audit", "ports"},
    "policyshelf": FOUNDATION | {"ports"},
    "uploading": FOUNDATION | {"audit", "ports", "policyshelf"},
    "receiving": FOUNDATION | {"intake", "audit", "ports", "policyshelf", "uploading"},
    "arrivals": FOUNDATION | {"receiving"},
    "redriving": FOUNDATION | {"audit", "ports", "arrivals", "uploading", "receiving"},
    "registering": FOUNDATION | {*STEPS, "audit", "ports", "registering"},
    "job": FOUNDATION | {*STEPS, "ports"},
    "batches": FOUNDATION | {*STEPS, "ports", "job"},
    "sanitize": FOUNDATION | {*STEPS, "audit", "ports", "job", "batches"},
    "parts": FOUNDATION | {*STEPS, "ports", "job"},
    "making": FOUNDATION | {*STEPS, "audit", "ports", "job", "sanitize", "catalogue", "terms"},
    "copies": FOUNDATION | {"ports", "embedded"},
    "embedded": FOUNDATION | {*STEPS, "audit", "ports", "embedded"},
    "workspace": FOUNDATION
    | {*STEPS, "audit", "ports", "making", *USE_CASES, *DOORS, "copies", "embedded", "aws"},
    "aws": FOUNDATION | {*STEPS, "audit", "ports", "aws", "reconciling", *DOORS},
    # Functions that only hand out forms and states start without the engine, so without the workspace too.
    "handlers": FOUNDATION
    | {*STEPS, "audit", "ports", *USE_CASES, *DOORS, "announcing", "parts", "workspace", "aws", "handlers"},
    "cli": FOUNDATION | {*STEPS, "audit", "ports", *USE_CASES, *DOORS, "copies", "workspace", "cli"},
}
NO_STEP_MAY_USE = {"os.environ", "time", "random", "secrets", "socket", "boto3", "botocore", "urllib.request"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ("" if parts == ("__init__",) else parts[0]), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            yield node.module or ""


def rooms(path: Path) -> Iterator[str]:
    for name in imported(path):
        if name == "contact_sanitizer" or name.startswith("contact_sanitizer."):
            yield [*name.split("."), ""][1]


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda value: getattr(value, "stem", value))
def test_imports_point_one_way(room: str, path: Path) -> None:
    assert room in ALLOWED, f"a new room: say what {room} may import"
    assert set(rooms(path)) <= ALLOWED[room]


@pytest.mark.parametrize(
    "path", [path for room, path in modules() if room in STEPS], ids=lambda path: path.stem
)
def test_steps_know_no_clock_environment_network_or_chance(path: Path) -> None:
    assert not set(imported(path)) & NO_STEP_MAY_USE
    assert "os.environ" not in path.read_text(encoding="utf-8")


def test_only_the_aws_folder_and_the_handlers_know_aws() -> None:
    strays = [
        path.name
        for room, path in modules()
        if room not in {"aws", "handlers"}
        and any(
            name.split(".")[0] in {"boto3", "botocore", "aws_lambda_powertools"} for name in imported(path)
        )
    ]
    assert strays == []


def test_crypto_lives_in_protection_alone() -> None:
    strays = [
        f"{room}/{path.name}"
        for room, path in modules()
        if room != "protection" and any(name.split(".")[0] == "cryptography" for name in imported(path))
    ]
    assert strays == []
