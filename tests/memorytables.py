"""DynamoDB in dictionaries: tables of `pk` and `sk`, the product's expressions, whole transactions."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from memoryservices import Asked, Refused

Item = dict[str, Any]
Place = tuple[str, str]
Table = dict[str, dict[str, Item]]
"""Items by `sk` in partitions by `pk`."""

_LARGEST_ITEM: Final = 400 << 10
_KEYS_A_BATCH: Final = 100
_WRITES_A_TRANSACTION: Final = 100
_BYTES_A_PAGE: Final = 1 << 20
_EXISTS: Final = re.compile(r"attribute_(not_)?exists\((\S+)\)")
_BEGINS: Final = re.compile(r"begins_with\((\S+), (\S+)\)")
_COMPARED: Final = re.compile(r"(\S+) (=|<>|<=|>=|<|>) (\S+)")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda one, other: bool(one == other),
    "<>": lambda one, other: bool(one != other),
    "<=": lambda one, other: bool(one <= other),
    ">=": lambda one, other: bool(one >= other),
    "<": lambda one, other: bool(one < other),
    ">": lambda one, other: bool(one > other),
}


@dataclass
class MemoryTables:
    """All reads are consistent ones; `call` names the call whose requests are served."""

    tables: dict[str, Table] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    call: int = 0

    def copy(self) -> MemoryTables:
        """The same, changed by nobody else; kept items are never changed, only replaced."""
        tables = {
            name: {partition: dict(items) for partition, items in table.items()}
            for name, table in self.tables.items()
        }
        return MemoryTables(tables, set(self.done))

    def create_table(self, asked: Asked) -> Any:
        self.tables[asked["TableName"]] = {}
        return {}

    def delete_table(self, asked: Asked) -> Any:
        del self.tables[asked["TableName"]]
        return {}

    def get_item(self, asked: Asked) -> Any:
        found = self._kept(asked, _place(asked["Key"]))
        return {"Item": copy.deepcopy(found)} if found else {}

    def put_item(self, asked: Asked) -> Any:
        self._check(asked, _place(asked["Item"]))
        self._put(asked)
        return {}

    def delete_item(self, asked: Asked) -> Any:
        self._check(asked, _place(asked["Key"]))
        self._delete(asked)
        return {}

    def update_item(self, asked: Asked) -> Any:
        place = _place(asked["Key"])
        self._check(asked, place)
        item = dict(self._kept(asked, place) or asked["Key"])
        verb, _, changes = asked["UpdateExpression"].partition(" ")
        for change in changes.split(", "):
            name, value = re.split(r" = | ", change)
            name, stated = _name(asked, name), _value(asked, value)
            if verb == "ADD":
                stated = {"N": str(Decimal(item.get(name, {"N": "0"})["N"]) + Decimal(stated["N"]))}
            elif verb != "SET":
                raise AssertionError("an update that is not known here")
            item[name] = copy.deepcopy(stated)
        self._put({"TableName": asked["TableName"], "Item": item})
        return {}

    def query(self, asked: Asked) -> Any:
        after = _place(asked["ExclusiveStartKey"])[1] if "ExclusiveStartKey" in asked else None
        partition = _value(asked, ":pk")["S"]
        found = [
            item
            for item in _sorted(self._table(asked).get(partition, {}))
            if _holds(asked, asked["KeyConditionExpression"], item)
            and (after is None or item["sk"]["S"].encode() > after.encode())
        ]
        if not asked.get("ScanIndexForward", True):
            assert after is None, "a page that is not known here"
            found.reverse()
        page, rest = _page(found[: asked.get("Limit", len(found))])
        kept = [item for item in page if _holds(asked, asked.get("FilterExpression", ""), item)]
        answer: dict[str, Any] = {"Items": copy.deepcopy(kept), "Count": len(kept), "ScannedCount": len(page)}
        if page and (rest or len(page) < len(found)):
            answer["LastEvaluatedKey"] = _key(page[-1])
        return answer

    def scan(self, asked: Asked) -> Any:
        partitions = self._table(asked)
        found = [copy.deepcopy(item) for name in sorted(partitions) for item in _sorted(partitions[name])]
        return {"Items": found, "Count": len(found), "ScannedCount": len(found)}

    def batch_get_item(self, asked: Asked) -> Any:
        answer: dict[str, Any] = {}
        for name, wanted in asked["RequestItems"].items():
            places = [_place(key) for key in wanted["Keys"]]
            if not 0 < len(places) <= _KEYS_A_BATCH or len({*places}) < len(places):
                raise Refused("ValidationException")
            found = [self._kept({"TableName": name}, place) for place in places]
            answer[name] = [copy.deepcopy(item) for item in found if item]
        return {"Responses": answer, "UnprocessedKeys": {}}

    def transact_write_items(self, asked: Asked) -> Any:
        if self.call in self.done:
            # The token that botocore gives each call makes its repeats do nothing.
            return {}
        writes = [next(iter(write.items())) for write in asked["TransactItems"]]
        places = [(each["TableName"], _place(each.get("Item") or each["Key"])) for _, each in writes]
        if not 0 < len(writes) <= _WRITES_A_TRANSACTION or len({*places}) < len(places):
            raise Refused("ValidationException")
        self._check_all(writes)
        for verb, each in writes:
            if verb == "Put":
                self._put(each)
            elif verb == "Delete":
                self._delete(each)
        self.done.add(self.call)
        return {}

    def _check_all(self, writes: list[tuple[str, Asked]]) -> None:
        reasons = []
        for verb, each in writes:
            assert verb in {"Put", "Delete", "ConditionCheck"}, "a write that is not known here"
            try:
                self._check(each, _place(each.get("Item") or each["Key"]))
                if verb == "Put":
                    _check_size(each["Item"])
            except Refused as refused:
                reasons.append(
                    refused.code.removesuffix("Exception").replace("Validation", "ValidationError")
                )
            else:
                reasons.append("None")
        if {*reasons} != {"None"}:
            told = [{"Code": reason} for reason in reasons]
            raise Refused("TransactionCanceledException", CancellationReasons=told)

    def _table(self, asked: Asked) -> Table:
        if asked["TableName"] not in self.tables:
            raise Refused("ResourceNotFoundException")
        return self.tables[asked["TableName"]]

    def _kept(self, asked: Asked, place: Place) -> Item:
        return self._table(asked).get(place[0], {}).get(place[1], {})

    def _put(self, asked: Asked) -> None:
        _check_size(asked["Item"])
        partition, name = _place(asked["Item"])
        self._table(asked).setdefault(partition, {})[name] = copy.deepcopy(dict(asked["Item"]))

    def _delete(self, asked: Asked) -> None:
        partition, name = _place(asked["Key"])
        self._table(asked).get(partition, {}).pop(name, None)

    def _check(self, asked: Asked, place: Place) -> None:
        item = self._kept(asked, place)
        if not _holds(asked, asked.get("ConditionExpression", ""), item):
            shown = asked.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and item
            more: dict[str, Any] = {"Item": copy.deepcopy(item)} if shown else {}
            raise Refused("ConditionalCheckFailedException", **more)


def _sorted(items: Mapping[str, Item]) -> list[Item]:
    return [items[name] for name in sorted(items, key=str.encode)]


def _holds(asked: Asked, expression: str, item: Item) -> bool:
    """Whether an item is as an expression says; an empty one says nothing."""
    alternatives = expression.split(" OR ") if expression else [""]
    return any(all(_is(asked, term, item) for term in each.split(" AND ")) for each in alternatives)


def _is(asked: Asked, term: str, item: Item) -> bool:
    if not term:
        return True
    if found := _EXISTS.fullmatch(term):
        return (_name(asked, found[2]) in item) is not bool(found[1])
    if found := _BEGINS.fullmatch(term):
        return bool(item[_name(asked, found[1])]["S"].startswith(_value(asked, found[2])["S"]))
    found = _COMPARED.fullmatch(term)
    assert found is not None, "a condition that is not known here"
    one, other = item.get(_name(asked, found[1])), _value(asked, found[3])
    if one is None or one.keys() != other.keys():
        return False
    return _COMPARISONS[found[2]](_comparable(one), _comparable(other))


def _comparable(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        return Decimal(content)
    return content.encode() if kind == "S" else bytes(content)


def _name(asked: Asked, name: str) -> str:
    return str(asked["ExpressionAttributeNames"][name]) if name.startswith("#") else name


def _value(asked: Asked, name: str) -> Any:
    return asked["ExpressionAttributeValues"][name]


def _place(key: Asked) -> Place:
    place = key["pk"]["S"], key["sk"]["S"]
    if not all(place):
        raise Refused("ValidationException")
    return place


def _key(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}


def _size(item: Asked) -> int:
    return sum(len(name) + len(content) for name, value in item.items() for content in value.values())


def _check_size(item: Asked) -> None:
    if _size(item) > _LARGEST_ITEM:
        raise Refused("ValidationException")


def _page(items: list[Item]) -> tuple[list[Item], bool]:
    size = 0
    for number, item in enumerate(items):
        size += _size(item)
        if size > _BYTES_A_PAGE and number:
            return items[:number], True
    return items, False
