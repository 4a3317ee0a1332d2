"""Reads a reply as a person would: does it ask to be left alone, does it complain, or is it something else.

A refusal that is overlooked is worse than one too many, so short plain requests count in many spellings.
What merely contains such a word (`退货`, `don't stop`, `退订了酒店`) does not: a person reads it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ReplyKind(StrEnum):
    """What a reply asks for; the word is public."""

    OPT_OUT = "opt_out"
    COMPLAINT = "complaint"
    UNRECOGNISED = "unrecognised"


@dataclass(frozen=True, slots=True)
class OptOutReading:
    """What was read. A complaint is also a refusal; `UNRECOGNISED` is for a person to read, never dropped."""

    kind: ReplyKind

    @property
    def refuses(self) -> bool:
        """True where a refusal has to be recorded."""
        return self.kind is not ReplyKind.UNRECOGNISED


#: Whole replies, after folding (see `_fold`): the words that senders print under their messages, and kin.
_WORDS: Final = frozenset(
    """
    r t td n d qx 0000 退订 退 取消 拒收 不要 别发 勿扰 取消订阅 td退订 回t 回复r tdzd
    退订td t退订 r退订 n退订 退订t 退订r 回r 回n 回td 回复t 回复n 回复td 回复退订 回退订 回t退订 回td退订
    回td退订 回复t退订
    回复td退订 拒绝 拒接 拒收短信 退定 推订 滚 tdhf qxdy tuiding quxiao jushou
    stop stopall end quit revoke cancel unsubscribe optout remove arret
    unsub unsubscribed stopp stopsms cancelall endall dnc dnd donotcall donotcontact donottext donotdisturb
    """.split()  # noqa: SIM905 - a table of words is read as words
)
_SIMPLIFIED: Final = str.maketrans(
    "訂閱發關給電話騷擾請絕別訴舉報煩傳聯繫號碼刪", "订阅发关给电话骚扰请绝别诉举报烦传联系号码删"
)

# No alternative may be another's concatenation: a text could then be split in exponentially many ways.
_POLITE: Final = (
    "请|麻烦|拜托|能不能|可以|可不可以|你们|您|你|我要|我想|我想要|帮我|把我|立即|马上|立刻|赶紧|赶快|以后|今后|千万|谢谢"
    "|了|吧|啊|呀|呢|哈|的|好吗|行吗|好不好|可以吗|申请|要求"
)
_THING: Final = (
    "短信|信息|消息|广告|推广|营销|推送|订阅|电话|骚扰|垃圾|服务|所有|全部|这个|这些|这种|任何|一切|号码"
)
_AGAIN: Final = "再|在|继续|老是|总是|一直|随便|乱"
_TO_ME: Final = "给我|向我|跟我|往我|对我|我|给本人"
_SEND: Final = "发送|发|推送|推|打扰|骚扰|打|联系|群发|来电|烦|打搅|寄|传"
_REFUSE: Final = "不要|不用|别|勿|莫|不想|不需要|停止|禁止|拒绝|不许|不准|无需|休想"
_LEAVE_ZH: Final = "退订|取消订阅|取消关注|拒收|屏蔽|退出|勿扰|取消|退定|拉黑"
_ASK_ZH: Final = re.compile(
    rf"(?:{_POLITE})*(?:"
    rf"(?:{_REFUSE})(?:{_AGAIN}|{_TO_ME}|{_POLITE})*(?:{_SEND}|收到|收|接收)(?:{_AGAIN}|{_TO_ME}|{_POLITE}|{_THING})*"
    rf"|(?:我)?(?:不|不想|不愿|不愿意|不再)(?:再)?(?:接收|收到|收|接)(?:{_POLITE}|{_THING})*"
    rf"|(?:{_TO_ME}|{_THING})*(?:{_LEAVE_ZH})(?:{_POLITE}|{_THING}|{_TO_ME})*"
    rf"|(?:从|把)?(?:{_TO_ME}|号码|名单|的)*(?:删除|删掉|移除|移出)(?:{_POLITE}|{_THING}|{_TO_ME}|名单)*"
    r")"
)

_KINDLY: Final = (
    "please|pls|plz|kindly|now|immediately|thanks"
    "|thank|you|ok|i|id|like|want|would|to|wish|asap|just|hi|hello"
)
_LEAVE: Final = (
    "stop|unsubscribe|unsub|opt out|optout|opt me out|remove me|take me off|delete me|quit|cancel|end|revoke"
    "|remove"
    "|(?:do not|dont|never|no more|stop|quit) (?:ever )?"
    "(?:send|sending|text|texting|texts|txt|message|messaging|messages|call|calling|calls|contact|contacting|email"
    "|emailing|emails|sms|spam|spamming|bother|bothering|disturb)"
    "|leave me alone|not interested|lose my number|arret|no longer want"
)
_OBJECT: Final = (
    "me|my|number|this|these|those|the|all|any|anymore|again|more|ever|messages|message|texts|text|sms|calls"
    "|spam|ads|from|your|list|lists|marketing|to|subscription|texting|sending|service|phone|out|of|it|and"
)
_ASK_EN: Final = re.compile(rf"(?:(?:{_KINDLY}) )*(?:{_LEAVE})(?: (?:{_LEAVE}|{_OBJECT}|{_KINDLY}))*")

_COMPLAINT_ZH: Final = re.compile(r"投诉|举报|12321|12315|工信部")
_NO_COMPLAINT_ZH: Final = re.compile(
    r"(?:不|没|没有|无|别|撤销|撤回|取消)(?:会|想|要|打算|再)?(?:投诉|举报)"
    r"|(?:投诉|举报)(?:电话|热线|渠道|方式|入口|处理|进度|结果|建议)"
)
_COMPLAINT_EN: Final = re.compile(
    r"\b(?:complaints?|complain|report(?:ed|ing)? (?:you|this|spam)|spam report|harass(?:ment|ing|ed)?)\b"
)
_NO_COMPLAINT_EN: Final = re.compile(r"\b(?:no|not|without|never|dont|cant|cannot) (?:\w+ )?compl")
#: Longer texts are for a person: nobody writes a page to say STOP.
_PLAIN_LENGTH: Final = 80
_COMPLAINT_LENGTH: Final = 300
_READ_LENGTH: Final = 1_000
_QUESTION: Final = re.compile(r"怎么|如何|怎样|为什么|多少|哪|什么|\b(?:how|why|when|what|where|which)\b")
_LETTERS: Final = re.compile(r"[^\w\s]|_")


def read_reply(text: str) -> OptOutReading:
    """What a reply asks for, whatever its width, case and punctuation; never fails.

    A word of the agreed list counts when it is the whole reply; a longer text counts when all of it says
    plainly that no more is wanted. A question, or an ordinary text that holds such a word, is unrecognised.
    """
    words = _fold(text[:_READ_LENGTH])
    joined = words.replace(" ", "")
    if _complains(words, joined):
        return OptOutReading(ReplyKind.COMPLAINT)
    if joined in _WORDS or (len(words) <= _PLAIN_LENGTH and _asks(words, joined)):
        return OptOutReading(ReplyKind.OPT_OUT)
    return OptOutReading(ReplyKind.UNRECOGNISED)


def _fold(text: str) -> str:
    """NFKC, case-folded, without accents and punctuation: `Don't` and `ARRÊT` become `dont`, `arret`."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(c for c in folded if unicodedata.category(c) not in {"Mn", "Cf"})
    apart = _LETTERS.sub(" ", plain.replace("'", "").replace("’", ""))
    return " ".join(apart.translate(_SIMPLIFIED).split())


def _complains(words: str, joined: str) -> bool:
    if len(words) > _COMPLAINT_LENGTH:
        return False
    chinese = _COMPLAINT_ZH.search(joined) and not _NO_COMPLAINT_ZH.search(joined)
    english = _COMPLAINT_EN.search(words) and not _NO_COMPLAINT_EN.search(words)
    return bool(chinese or english) and not _QUESTION.search(words)


def _asks(words: str, joined: str) -> bool:
    if _QUESTION.search(words):
        return False
    return bool(_ASK_ZH.fullmatch(joined) or _ASK_EN.fullmatch(words) or _is_list_of_words(words))


def _is_list_of_words(words: str) -> bool:
    """`TD 退订`, `stop stop stop`: agreed words only."""
    return bool(words) and all(word in _WORDS for word in words.split())
