"""Glue's tables and Athena's saved queries as the template has them, run by DuckDB over copies of buckets.

A column is read as the table declares it, with the names and nothing else, so that a query sees what Athena
would; a query is parsed as Athena's and written anew as DuckDB's.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import sqlglot

from cloudworld import AUDIT, CLEAN, UPLOADS
from templates import ATHENA, resources

#: What the parameters are in the tests.
NAMES: Final = {"Stack": "demo", "AuditBucket": AUDIT, "CleanBucket": CLEAN, "UploadsBucket": UPLOADS}
_SIMPLE: Final = {
    "string": "VARCHAR", "bigint": "BIGINT", "boolean": "BOOLEAN", "int": "INTEGER",
    "binary": "BLOB", "array<string>": "VARCHAR[]",
}  # fmt: skip


def table(name: str) -> Mapping[str, Any]:
    """One table's input to Glue."""
    found = (each["TableInput"] for each in resources("AWS::Glue::Table", ATHENA).values())
    return next(each for each in found if each["Name"] == name)


def columns(name: str) -> dict[str, str]:
    """A table's columns and their types in DuckDB's words."""
    return {each["Name"]: duckdb_type(each["Type"]) for each in table(name)["StorageDescriptor"]["Columns"]}


def duckdb_type(hive: str) -> str:
    """A type of Hive's as DuckDB writes it."""
    text = hive.strip()
    if text.startswith("struct<"):
        members = (member.split(":", 1) for member in _parts(text[7:-1]))
        return "STRUCT(" + ", ".join(f'"{name}" {duckdb_type(kind)}' for name, kind in members) + ")"
    if text.startswith("map<"):
        key, value = _parts(text[4:-1])
        return f"MAP({duckdb_type(key)}, {duckdb_type(value)})"
    if text.startswith("array<"):
        return duckdb_type(text[6:-1]) + "[]"
    return _SIMPLE[text]


def _parts(text: str) -> Iterator[str]:
    """The parts between commas that stand in no angle brackets."""
    depth, start = 0, 0
    for at, character in enumerate(text):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "," and not depth:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def saved_query(logical_id: str, **words: str) -> str:
    """A saved query as Athena has it, with words in capitals replaced."""
    text = resources("AWS::Athena::NamedQuery", ATHENA)[logical_id]["QueryString"]
    text = text if isinstance(text, str) else text["Fn::Sub"]
    text = re.sub(r"\$\{(\w+)\}", lambda found: NAMES[found[1]], text)
    for word, value in words.items():
        assert word in text
        text = text.replace(word, value)
    return text


def translated(text: str) -> str:
    """Athena's query in DuckDB's words; an error where it is none of Athena's."""
    (query,) = sqlglot.transpile(text, read="athena", write="duckdb", error_level=sqlglot.ErrorLevel.RAISE)
    return query


class Lake:
    """The tables over a folder that holds copies of buckets, each in a folder of its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        self._make_events()
        self._make_decisions()
        self._make_reads()

    def ask(self, logical_id: str, **words: str) -> list[dict[str, Any]]:
        """The rows that a saved query answers with."""
        answer = self.connection.sql(translated(saved_query(logical_id, **words)))
        rows: list[dict[str, Any]] = answer.to_arrow_table().to_pylist()
        return rows

    def _place(self, name: str, *values: str) -> str:
        """Where a partition lies, as the table's projection says."""
        template = table(name)["Parameters"]["storage.location.template"]["Fn::Sub"]
        if isinstance(template, list):
            template = template[0].replace("${Bucket}", "demo-reads")
        for known, word in {"AWS::AccountId": "123456789012", "AWS::Region": "eu-central-1", **NAMES}.items():
            template = template.replace("${" + known + "}", word)
        keys = [each["Name"] for each in table(name)["PartitionKeys"]]
        for key, value in zip(keys, values, strict=True):
            template = template.replace("${!" + key + "}", value)
        place: str = template.replace("s3://", f"{self.folder}/")
        return place

    def _make_events(self) -> None:
        read = self.connection.read_json(
            self._place("events", "*/*/*") + "*",
            columns=columns("events"),
            format="newline_delimited",
            filename=True,
        )
        day = "regexp_extract(filename, '(\\d{4}/\\d\\d/\\d\\d)/[^/]+$', 1) AS day"
        read.project(f"* EXCLUDE (filename), {day}").create("events")

    def _make_decisions(self) -> None:
        declared = [f'"{name}"::{kind} AS "{name}"' for name, kind in columns("decisions").items()]
        read = self.connection.read_parquet(
            self._place("decisions", "*", "*") + "decisions.parquet", filename=True
        )
        parts = ["split_part(filename, '/', -3) AS tenant", "split_part(filename, '/', -2) AS list_id"]
        path = f"'s3:/' || replace(filename, '{self.folder}', '') AS \"$path\""
        read.project(", ".join([*declared, *parts, path])).create("decisions")

    def _make_reads(self) -> None:
        """CloudTrail's input format makes rows of records; what is declared a string stays JSON text."""
        declared = columns("reads")
        rows = []
        for path in sorted(Path(self._place("reads", "").rstrip("/")).rglob("*.json.gz")):
            for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]:
                lowered = _lowered({**record})
                for name, kind in declared.items():
                    if kind == "VARCHAR" and isinstance(lowered.get(name), dict):
                        original = next(key for key in record if key.lower() == name)
                        lowered[name] = json.dumps(record[original])
                day = "/".join(path.parts[-4:-1])
                rows.append({**{name: lowered.get(name) for name in declared}, "day": day})
        file = self.folder / "reads.json"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        shape = {**declared, "day": "VARCHAR"}
        self.connection.read_json(str(file), columns=shape, format="newline_delimited").create("reads")


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key.lower(): _lowered(inner) for key, inner in value.items()}
    return value
