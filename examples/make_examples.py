"""Makes the sample files beside this script: a list as a Chinese shop would export it, consents, a blocklist.

    python examples/make_examples.py [DIR]

Everyone and every number in them is made up: the numbers lie in the `0000` block of their range, the
resident IDs have a district that does not exist, the addresses end in `example`.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import openpyxl

ROWS = 2000
PREFIXES = [130, 131, 135, 136, 137, 138, 139, 150, 152, 158, 159, 176, 180, 186, 187, 189, 191, 198]
HEADER = [
    "会员编号",
    "姓名 *",
    "手机号(必填)",
    "身份证号",
    "邮箱",
    "城市",
    "短信授权",
    "备注",
    "累计消费（元）",
]
NAMES = [s + g for s in "王李张刘陈杨赵黄周吴" for g in ("晓明", "伟", "静", "洋", "子涵", "建国", "梓萱")]
CITIES = ["上海", "北京", "广州", "深圳", "杭州", "成都", "武汉", "南京", "西安", "重庆", "苏州", "长沙"]
WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]


def full_width(digits: str) -> str:
    """The digits as a Chinese input method writes them."""
    return "".join(chr(ord(digit) - ord("0") + ord("０")) for digit in digits)


def resident_id(chance: random.Random) -> str:
    """A well-formed ID of a district (990000) that was never given out."""
    birth = f"{chance.randint(1955, 2004)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    body = f"990000{birth}{chance.randint(0, 999):03}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


def spelled(chance: random.Random, number: str, other: str) -> str:
    """One number as somebody typed or exported it."""
    spaced = f"{number[:3]} {number[3:7]} {number[7:]}"
    ways: list[tuple[str, float]] = [
        (number, 60),
        (f"+86{number}", 4),
        (f"86{number}", 4),
        (f"0086-{number}", 1.5),
        (f"{number[:3]}-{number[3:7]}-{number[7:]}", 6),
        (spaced, 4),
        (full_width(number), 2),
        (f"{number}.0", 2),
        (f"\t{number}", 1.5),
        (f'="{number}"', 0.8),
        (f"{number}(微信同号)", 1.2),
        (f"电话：{number}", 0.8),
        (f"{number[:10]}", 1.5),
        (f"{number}{chance.randint(0, 9)}", 0.8),
        (f"{number[0]}.{number[1:4]}E+10", 0.8),
        (f"{number[:3]}****{number[7:]}", 0.8),
        (f"{number}/{other}", 0.8),
        (f"{number}转{chance.randint(100, 999)}", 0.6),
        ("", 1.2),
        ("无", 0.6),
        ("13800138000", 0.6),
        ("010-5555 0123", 0.6),
        ("+1 212-555-0142", 0.3),
        ("400-555-0199", 0.3),
        (resident_id(chance), 0.4),
        ("#N/A", 0.3),
        (f"{number}(已退订)", 0.8),
    ]
    return chance.choices([way for way, _ in ways], [weight for _, weight in ways])[0]


def numbers(chance: random.Random) -> Iterator[str]:
    """Distinct made-up mobile numbers, without end."""
    seen: set[str] = set()
    while True:
        number = f"{chance.choice(PREFIXES)}0000{chance.randint(1, 9998):04}"
        if number not in seen and len(set(number[-8:])) > 1:
            seen.add(number)
            yield number


def note(chance: random.Random, number: str) -> str:
    """What the shop wrote beside the customer; now and then something that should not be there."""
    ways = [
        "",
        "老客户",
        "双十一",
        "门店登记",
        "生日送券",
        f"备用 {number}",
        f"{resident_id(chance)}",
        "li@mail.example",
        "=1+1",
    ]
    return chance.choices(ways, [50, 15, 12, 10, 6, 1.5, 0.5, 1, 0.3])[0]


def contacts(chance: random.Random, people: list[str]) -> Iterator[list[str]]:
    """The rows of the list: one a person, some twice, a header in the middle, a totals row."""
    for index, number in enumerate(people):
        name = chance.choice(NAMES)
        agreed = chance.choices(["是", "否", "", "已授权", "待定"], [70, 4, 12, 12, 2])[0]
        row = [
            f"VIP{20240000 + index}",
            name,
            spelled(chance, number, chance.choice(people)),
            resident_id(chance) if chance.random() < 0.6 else "",
            f"vip{index}@mail.example" if chance.random() < 0.5 else "",
            chance.choice(CITIES),
            agreed,
            note(chance, chance.choice(people)),
            f"{chance.uniform(9, 9000):.2f}",
        ]
        yield row
        if chance.random() < 0.03:
            yield [*row[:2], f"+86 {number}", *row[3:]]
        if index == ROWS // 2:
            yield HEADER
    yield ["合计", "", str(len(people)), "", "", "", "", "", "812345.60"]


def consents(chance: random.Random, people: list[str]) -> Iterator[list[str]]:
    """What people agreed to, and took back, in the words of the registry."""
    for index, number in enumerate(people):
        purpose, sender, date, status = (
            "marketing",
            "brand-a",
            f"2026-0{chance.randint(1, 9)}-{chance.randint(1, 28):02}",
            "granted",
        )
        kind = chance.random()
        if kind < 0.08:
            continue
        if kind < 0.11:
            purpose = "service"
        elif kind < 0.14:
            date = "2022-03-15"
        yield [f"+86{number}", purpose, "sms", sender, status, date, "", "web-form", f"form-{index}", "v3"]
        if kind > 0.97:
            yield [f"+86{number}", "", "", "", "withdrawn", "2026-10-05", "", "hotline", f"call-{index}", ""]


def write_csv(path: Path, rows: list[list[str]], encoding: str = "utf-8") -> None:
    """A CSV file with CRLF, as spreadsheets write it."""
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows(rows)


def write_workbook(path: Path, rows: list[list[str]]) -> None:
    """The same list as a workbook with a title above its header; plain phones and sums are numbers."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "会员"
    sheet.append(["会员导出（内部资料）"])
    sheet.append([])
    for number, row in enumerate(rows):
        numeric = {2, 8} if number and row[2].isascii() and row[2].isdigit() and len(row[2]) < 15 else set()
        sheet.append(
            [float(cell) if place in numeric else cell.lstrip("=") for place, cell in enumerate(row)]
        )
    book.save(path)


def main() -> None:
    """Write the five sample files."""
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    chance = random.Random(20261111)  # noqa: S311 - made-up data from a seed
    source = numbers(chance)
    people = [next(source) for _ in range(ROWS)]
    rows = [HEADER, *contacts(chance, people)]
    write_csv(place / "contacts.csv", rows, "gb18030")
    write_workbook(place / "contacts.xlsx", rows)
    columns = [
        "phone",
        "purpose",
        "channel",
        "sender",
        "status",
        "effective_at",
        "expires_at",
        "source",
        "reference",
        "wording",
    ]
    write_csv(place / "consents.csv", [columns, *consents(chance, people)])
    reasons = ["opted_out", "opted_out", "complaint", "reassigned"]
    blocked = [[number, "tenant", chance.choice(reasons), "crm"] for number in chance.sample(people, 60)]
    write_csv(place / "blocklist.csv", [["phone", "scope", "reason", "source"], *blocked])


if __name__ == "__main__":
    main()
