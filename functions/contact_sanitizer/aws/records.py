"""A tenant's small documents in a DynamoDB table.

Key: `pk` is `TENANT#KIND`, `sk` the name. Beside them an item holds `version`, the `document` as JSON text
(DynamoDB's own numbers and nulls do not give back what was put in) and `writing`, which tells one
writing from another; a counter holds `count` instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError

from contact_sanitizer.aws.faults import Fault, fault_of, retried, told
from contact_sanitizer.aws.objects import catalogue_fault
from contact_sanitizer.errors import CatalogueError
from contact_sanitizer.ports import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: The kind under which counters are kept; no document has it.
COUNTERS: Final = "counter"


@dataclass(frozen=True, slots=True)
class DynamoRecords:
    """Implements `ports.Records` for one tenant.

    Promises: reads see every writing that was answered; of two writers on one version one wins, also where
    an answer was lost and the request went out again; a counter never passes its limit. Does not
    promise that a counter stays below its due: an amount whose answer was lost may count twice.
    """

    dynamodb: DynamoDBClient
    table: str
    tenant: str

    def get(self, kind: str, name: str) -> Record | None:
        """The document as it is now, or None."""
        with told(catalogue_fault):
            found = self.dynamodb.get_item(
                TableName=self.table, Key=self._key(kind, name), ConsistentRead=True
            ).get("Item")
        return _record(kind, found) if found else None

    def put(self, kind: str, name: str, document: Mapping[str, Any], *, after: int) -> bool:
        """Keep it as version `after + 1` where `after` is the present one (0: none); whether it was kept."""
        writing = uuid4().hex
        item = self._key(kind, name) | {
            "version": {"N": str(after + 1)},
            "document": {"S": json.dumps(document)},
            "writing": {"S": writing},
        }
        present: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if after:
            present = {
                "ConditionExpression": "version = :after",
                "ExpressionAttributeValues": {":after": {"N": str(after)}},
            }
        with told(catalogue_fault):
            try:
                self.dynamodb.put_item(
                    TableName=self.table,
                    Item=item,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **present,
                )
            except ClientError as error:
                if not _lost(error):
                    raise
                return retried(error) and _writing(error) == writing
        return True

    def delete(self, kind: str, name: str, *, after: int) -> bool:
        """Let go of the document where `after` is its present version; whether it was there and is gone.

        Where an answer was lost on its way, somebody whose request went out again is told that it is gone.
        """
        with told(catalogue_fault):
            try:
                self.dynamodb.delete_item(
                    TableName=self.table,
                    Key=self._key(kind, name),
                    ConditionExpression="version = :after",
                    ExpressionAttributeValues={":after": {"N": str(after)}},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if not _lost(error):
                    raise
                return retried(error) and "Item" not in error.response
        return True

    def named(self, kind: str, prefix: str = "", after: str = "") -> Iterator[Record]:
        """A kind's documents whose names begin with `prefix` and come after `after`, ascending by name."""
        condition, values = "pk = :pk", {":pk": {"S": self._partition(kind)}}
        # A query takes one condition on names: behind `after` those with the prefix come first, or none do.
        if after > prefix:
            condition, values = f"{condition} AND sk > :sk", values | {":sk": {"S": after}}
        elif prefix:
            condition, values = f"{condition} AND begins_with(sk, :sk)", values | {":sk": {"S": prefix}}
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        with told(catalogue_fault):
            for page in pages:
                for item in page.get("Items", []):
                    record = _record(kind, item)
                    if not record.name.startswith(prefix):
                        return
                    yield record

    def spend(self, name: str, amount: int, limit: int) -> bool:
        """Add to a counter unless that would take it over `limit`; whether it was added. Atomic."""
        if amount > limit:
            return False
        with told(catalogue_fault):
            try:
                self.dynamodb.update_item(
                    TableName=self.table,
                    Key=self._key(COUNTERS, name),
                    UpdateExpression="ADD #count :amount",
                    ConditionExpression="attribute_not_exists(#count) OR #count <= :room",
                    ExpressionAttributeNames={"#count": "count"},
                    ExpressionAttributeValues={
                        ":amount": {"N": str(amount)},
                        ":room": {"N": str(limit - amount)},
                    },
                )
            except ClientError as error:
                if not _lost(error):
                    raise
                return False
        return True

    def _partition(self, kind: str) -> str:
        return f"{self.tenant}#{kind}"

    def _key(self, kind: str, name: str) -> dict[str, Any]:
        return {"pk": {"S": self._partition(kind)}, "sk": {"S": name}}


def _record(kind: str, item: Mapping[str, Any]) -> Record:
    try:
        document = dict(json.loads(item["document"]["S"]))
        return Record(kind, item["sk"]["S"], int(item["version"]["N"]), document)
    except (KeyError, ValueError, TypeError, RecursionError):
        raise CatalogueError("catalogue_damaged", "an entry of the catalogue cannot be understood") from None


def _lost(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code")
    return fault_of(error) is Fault.LOST_RACE and code == "ConditionalCheckFailedException"


def _writing(error: ClientError) -> str:
    """Which writing stands in the way of a conditional one."""
    old: dict[str, Any] = error.response.get("Item", {})  # type: ignore[assignment] # only with ALL_OLD
    return str(old.get("writing", {}).get("S", ""))
