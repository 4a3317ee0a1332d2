"""Words in a phone cell with which somebody noted that this person refuses, or is not behind this number.

The most restrictive reading wins: a word of refusal counts anywhere in the cell, negated or not, because
a list that sends to one person who refused does more harm than a list that leaves one out.
"""

from __future__ import annotations

import re

from contact_sanitizer.phone.characters import fold

# Chinese, Japanese and Korean notes are written without spaces: found anywhere.
_NOTES = (
    "退订|退訂|退定|已退出|取消订阅|取消訂閱|免打扰|免打擾|谢绝|謝絕|黑名单|黑名單|拉黑|",
    "空号|空號|错号|錯號|打错|打錯|停机|停機|注销|註銷|已故|去世|非本人|不是本人|不需要|不同意|取关|取關|",
    "投诉|投訴|举报|舉報|屏蔽|封鎖|停发|停呼|禁呼|禁发|禁打|禁拨|",
    "拒[收接绝絕电電扰擾访訪听聽签發发]|",
    "勿(?:再|要)?(?:打|扰|擾|联|聯|发|發|呼|致电|來|来|骚|拨|撥|推|接触)|",
    "(?:不要|不用|不能|不可|不许|不得|别|別|莫|禁止|停止|不再|不愿|不願|不想|不接受|不同意|请勿|請勿)",
    "(?:再|给|他|她|我|向|被|对|接收|接听|收到|任何){0,3}",
    "(?:打|联系|联络|聯繫|聯絡|发|發|致电|致電|拨|撥|呼|来电|來電|电话|電話|短信|簡訊|",
    "营销|營銷|推销|推銷|推送|通知|骚扰|騷擾|消息)|",
    "配信停止|配信拒否|受信拒否|着信拒否|連絡不要|連絡不可|電話不要|수신 ?거부|연락 ?금지",
)
_LISTED = """
    dnc dnd dnt ndnc dncr td unsub unsubscribe unsubscribed unsubscribes unsubscription
    optout optedout stop stopall stopped remove removed blacklist blacklisted blocked blocklist
    blocklisted complaint complaints complained suppress suppressed suppression revoked withdrawn
    refused refuses declined objected objection baja desinscrit desinscrite desabonne desabonnee
    abgemeldet abbestellt widerrufen widersprochen widerspruch werbesperre gesperrt descadastrado
    descadastrada disiscritto disiscritta стоп отписан отписана отписался отписалась отписка отказ
    отказался отказалась deceased
"""
_WORDS = frozenset(fold(_LISTED.replace("\n", " ")).split())
_PHRASES = (
    # "no phone" and "no e-mail" say what a person has, not what the person wants.
    "(?:do ?n.?t|do(?:es)? not|never|not|no(?! ?-?(?:phone|e?mail|ring))|",
    "ne pas|nicht|keine|nao|non|не)[ _-]?",
    "(?:to |want |be |mehr |me |more |any ){0,2}",
    "(?:call|contact|text|sms|messag|disturb|e?mail|phone|ring|market|solicit|promo|",
    "llamar|contactar|molestar|appeler|contacter|deranger|anrufe|kontaktieren|storen|stoeren|werbung|",
    "ligar|contatar|perturb|chiamare|contattare|звонить|беспокоить|писать)|",
    "opt(?:s|ed|ing)?[ _-]out|un[ _-]subscri|wrong[ _-](?:number|person|no)",
)
_LEADS = "do does don dont never no not ne nicht keine nao non не opt opts opted opting un wrong"
_PHRASE_LEADS = frozenset(_LEADS.split())


def _folded(parts: tuple[str, ...]) -> re.Pattern[str]:
    """A pattern whose letters are folded as cells are, and whose syntax is left alone."""
    return re.compile(re.sub(r"[^\x00-\x7f]+", lambda letters: fold(letters[0]), "".join(parts)))


_NOTE = _folded(_NOTES)
_PHRASE = _folded(_PHRASES)
_LETTERS = re.compile(r"[a-zа-я]+")


def states_refusal(text: str) -> bool:
    """True where a folded text holds a word of refusal, as in `(已退订)`, `DNC`, `do not call`."""
    if not text.isascii() and _NOTE.search(text):
        return True
    words = _LETTERS.findall(text)
    if not words:
        return False
    if not _WORDS.isdisjoint(words):
        return True
    return not _PHRASE_LEADS.isdisjoint(words) and bool(_PHRASE.search(text))
