"""Reads the templates as CloudFormation does: short functions in their long form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
APPLICATION: Final = ROOT / "template.yaml"
PEOPLE: Final = ROOT / "infra" / "people.yaml"
WATCHING: Final = ROOT / "infra" / "watching.yaml"
ATHENA: Final = ROOT / "infra" / "athena.yaml"

Properties = Mapping[str, Any]


class _Loader(yaml.SafeLoader):
    """Knows the short forms."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        return {name: value.split(".", 1) if suffix == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {name: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _function)


def template(path: Path = APPLICATION) -> dict[str, Any]:
    """A whole template."""
    loaded: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    return loaded


def resources(kind: str, path: Path = APPLICATION) -> dict[str, Properties]:
    """The properties of all resources of a type, by logical id."""
    found = template(path)["Resources"]
    return {name: body.get("Properties", {}) for name, body in found.items() if body["Type"] == kind}


def statements(document: Properties) -> Iterator[dict[str, Any]]:
    """The statements of a policy, actions and resources as lists."""
    for statement in document["Statement"]:
        yield {
            **statement,
            "Action": _several(statement["Action"]),
            "Resource": [plain(resource) for resource in _several(statement["Resource"])],
        }


def plain(value: Any) -> str:
    """A reference as short text: `Table.Arn`, `${Bucket.Arn}/a/*`."""
    match value:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::Sub": str(text)}:
            return text.replace("arn:${AWS::Partition}:", "arn:")
        case str():
            return value
        case _:
            raise AssertionError(f"not a plain reference: {value!r}")


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
