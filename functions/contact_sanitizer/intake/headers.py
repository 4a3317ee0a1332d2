"""Which headers mean which role, and when two headers are the same.

Two headers are the same where their normal forms are equal; no header matches by a part of it, because
an emergency contact's phone must never pass for the customer's.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from contact_sanitizer.intake.columns import ColumnWish
from contact_sanitizer.policy_words import Role

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00]")
_MARK = r"(?:必填项|必填|选填项|选填|非必填|可选|required|optional|mandatory|\*)"
_DECORATION = re.compile(rf"[(\[【〔{{<]\s*{_MARK}\s*[)\]】〕}}>]|\*|(?<=\s){_MARK}$|^{_MARK}(?=\s)")
_GAP = re.compile(r"[\s_\-]+")
_EDGE = " \t:;,.。、'\"`“”‘’"
_HAN = re.compile("[\u3400-\u9fff]")


@lru_cache(maxsize=4096)
def normal_header(text: str) -> str:
    """The form under which headers are compared: NFKC, no marks, case-folded, gaps evened."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold().strip()
    plain = _GAP.sub(" ", _DECORATION.sub("", plain)).strip(_EDGE)
    return plain.replace(" ", "") if _HAN.search(plain) else plain


def _normal(*texts: str) -> frozenset[str]:
    return frozenset(normal_header(text) for text in texts)


_KNOWN = {
    Role.PHONE: _normal(
        *("手机号", "手机号码", "手机", "联系电话", "联系手机", "电话", "电话号码", "移动电话", "联系方式"),
        *("号码", "客户手机", "会员手机", "收货人手机"),
        *("phone", "phone number", "mobile", "mobile phone", "mobile phone number", "mobilephone"),
        *("cell", "tel", "telephone", "msisdn"),
    ),
    Role.CONSENT: _normal(
        *("是否同意", "营销授权", "短信授权", "同意"),
        *("营销短信授权", "短信营销授权", "是否同意接收短信", "是否接收短信", "短信授权(是/否)", "是否授权"),
        *("consent", "sms consent", "accepts sms marketing", "opt in", "sms opt in", "sms optin"),
    ),
    Role.REFUSAL: _normal(
        *("退订", "已退订", "是否退订", "是否已退订", "退订状态", "短信退订", "拒收", "是否拒收", "短信拒收"),
        *("黑名单", "是否黑名单", "勿扰", "免打扰", "是否免打扰", "拒绝营销", "投诉", "是否投诉"),
        *("opt out", "opted out", "sms opt out", "sms optout", "optout", "has opted out"),
        *("unsubscribed", "unsubscribe", "is unsubscribed", "do not contact", "do not call", "do not text"),
        *("do not sms", "dnc", "dnd", "suppressed", "blacklisted", "blacklist", "blocklisted", "stop"),
    ),
}


def known_role(header: str) -> Role | None:
    """The role that a header is known for, None for any other."""
    form = normal_header(header)
    return next((role for role, forms in _KNOWN.items() if form in forms), None)


def known_headers(role: Role) -> frozenset[str]:
    """The normal forms of the headers that a role is known by."""
    return _KNOWN[role]


def wished_headers(wish: ColumnWish) -> frozenset[str]:
    """The normal forms that satisfy a wish."""
    if wish.headers:
        return _normal(*wish.headers)
    known = _KNOWN[wish.role] if wish.role is not None else frozenset()
    return _normal(wish.name) | known
