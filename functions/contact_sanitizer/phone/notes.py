"""What stands between, before and after the digits of a cell.

A cell is runs of digits and the gaps around them. What a gap means decides whether two runs are two
numbers, a number and its extension, or nothing that may be read at all.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from contact_sanitizer.phone.characters import BROKEN


class Gap(Enum):
    """The meaning of one gap."""

    PLAIN = auto()
    """Nothing but punctuation at an edge of the cell."""
    SPLIT = auto()
    """Something that separates two numbers."""
    SLASH = auto()
    """A slash: separates two numbers, or an area code from its number."""
    COMMA = auto()
    """A comma or semicolon: separates two numbers, or is a dialling pause."""
    NOTE = auto()
    """Words that state nothing about the digits, or say that a number follows."""
    UNKNOWN = auto()
    """Latin words that may be a name, or letters dialled as digits."""
    EXTENSION = auto()
    """Says that an extension follows."""
    BROKEN = auto()
    """Letters or characters mixed into digits."""
    MASK = auto()
    """Stands for digits that are not shown."""
    OTHER_THING = auto()
    """Says that the digits that follow are something else than a phone number."""


_PUNCTUATION = re.compile(r"[\s、\"'().,;:/\\|&_•+!#=-]*")
_EXTENSION = re.compile(
    r"[\s.,;:()-]*(?:转接?|轉接?|分机号?码?|分機號?碼?|内线|內線|内選|#|"
    r"(?:ext(?:ension|ensao|n)?|poste|anexo|ramal|durchwahl|dw|interno|dahili|wew|toestel|доб|вн|x|p|w)"
    r"(?![a-zа-я]))[\s.,:=()#-]*"
)
_CONJUNCTION = re.compile(
    r"[\s,;/]*(?:或者?|和|及|以及|与|跟|还有|也|또는)[\s,;/]*|"
    r"[\s,;/]+(?:and|or|oder|und|ou|et|y|e|и|или)[\s,;/]+"
)
_NUMERALS = re.compile(r"[\s()-]*[〇零一二三四五六七八九十百千两幺壹贰叁肆伍陆柒捌玖拾]+[\s()-]*")
_OTHER_THING = re.compile(
    r"(?:身份证|证件|卡|账|帐|订单|訂單|邮编|邮政编码|郵編|金额|价格|价钱|工|学|學|编|編|单|税|车牌|门牌|"
    r"生日|出生|日期|时间|\bqq|扣扣|\bid|\bimei|\bimsi|\biccid|\bpassport|\bzip(?: ?code)?|\bpostcode|"
    r"\border|\binvoice|\baccount|\bacct|\bcard|\bssn|\bage|\bamount|\bdate|\bdob|\bref|[$€£¥₹₩₽])"
    r"(?:号|號)?(?:码|碼)?[\s:.#=()-]*"
)
_CURRENCY_AFTER = re.compile(r"[\s-]*(?:[$€£¥₹₩₽%‰°]|元|块钱|岁|usd\b|cny\b|rmb\b|eur\b)")
_ENUMERATED_LABEL = re.compile(r"([^\W\d_]{1,12}) ?[1-9] ?[:.=)]")

_LABELS = frozenset(
    [
        "tel",
        "tels",
        "telefon",
        "telefono",
        "telefone",
        "telephone",
        "phone",
        "phones",
        "ph",
        "mobile",
        "mob",
        "mobil",
        "movil",
        "movel",
        "cell",
        "cellphone",
        "cellular",
        "handy",
        "gsm",
        "whatsapp",
        "wa",
        "viber",
        "wechat",
        "telegram",
        "signal",
        "line",
        "sms",
        "smsto",
        "callto",
        "fax",
        "home",
        "work",
        "office",
        "private",
        "business",
        "main",
        "number",
        "no",
        "nr",
        "num",
        "contact",
        "call",
        "hp",
        "mp",
        "fon",
        "portable",
        "celular",
        "cel",
        "natel",
        "dir",
        "direct",
        "t",
        "m",
        "p",
        "h",
        "c",
        "f",
    ]
)
_LATIN = re.compile(r"[a-z\u0370-\u052f]+")
_LOOKALIKES = frozenset("oilszbgqо")


def gap_before(gap: str) -> Gap:
    """What the text before the first digits means (folded text)."""
    if not gap or _PUNCTUATION.fullmatch(gap):
        return Gap.PLAIN
    if (found := _OTHER_THING.search(gap)) and found.end() == len(gap):
        return Gap.OTHER_THING
    return _spoiled(gap) or _words(gap, left=False, right=True)


def gap_after(gap: str) -> Gap:
    """What the text after the last digits means (folded text)."""
    if not gap or _PUNCTUATION.fullmatch(gap):
        return Gap.PLAIN
    if _CURRENCY_AFTER.match(gap):
        return Gap.OTHER_THING
    return _spoiled(gap) or _words(gap, left=True, right=False)


def gap_between(gap: str) -> Gap:
    """What the text between two runs of digits means (folded text)."""
    core = gap.strip(" ()'\"")
    if core == "/":
        return Gap.SLASH
    if core in {",", ";"}:
        return Gap.COMMA
    if _EXTENSION.fullmatch(gap):
        return Gap.EXTENSION
    if _PUNCTUATION.fullmatch(gap) or _CONJUNCTION.fullmatch(gap):
        return Gap.SPLIT
    if (found := _OTHER_THING.search(gap)) and found.end() == len(gap):
        return Gap.OTHER_THING
    return _spoiled(gap) or _words(gap, left=True, right=True)


def without_enumerated_labels(text: str) -> str:
    """The text without the digit of labels such as `手机1:` and `Tel 2:`."""
    return _ENUMERATED_LABEL.sub(r"\1:", text)


def has_words(gap: str) -> bool:
    """True where a gap holds letters of any script."""
    return any(map(str.isalpha, gap))


def _spoiled(gap: str) -> Gap | None:
    if BROKEN in gap or _NUMERALS.fullmatch(gap):
        return Gap.BROKEN
    if "?" in gap:
        return Gap.MASK
    return None


def _words(gap: str, *, left: bool, right: bool) -> Gap:
    """The meaning of words; `left` and `right` say on which sides digits stand."""
    words = _LATIN.findall(gap)
    if not words:
        return Gap.NOTE
    glued = [words[0]] if left and gap.startswith(words[0]) else []
    if right and gap.endswith(words[-1]):
        glued.append(words[-1])
    if any(len(word) == 1 or word not in _LABELS for word in glued):
        return Gap.BROKEN
    near = ([words[0]] if left else []) + ([words[-1]] if right else [])
    if any(word in _LOOKALIKES for word in near) and not _has_colon(gap):
        return Gap.BROKEN
    attached = left and gap.startswith("-")  # 1-800-CALL
    return Gap.NOTE if _LABELS.issuperset(words) and not attached else Gap.UNKNOWN


def _has_colon(gap: str) -> bool:
    """True where a gap holds a colon, which makes a letter a label."""
    return ":" in gap
