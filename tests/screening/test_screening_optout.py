import pytest

from contact_sanitizer.screening.optout import ReplyKind, read_reply

OPT_OUT = [
    "R",
    "ｔｄ",
    "TD。",
    "退订",
    "退 订",
    "【退订】",
    "T退订",
    "TD退订",
    "回T退订",
    "取消订阅",
    "请不要再发了",
    "别再给我发短信了",
    "不要再打电话给我",
    "STOP PLEASE",
    "stop.",
    "Stop!!!",
    "STOP STOP",
    "unsubscribe me please",
    "Please remove me from your list",
    "do not text me again",
    "Don't text me",
    "Arrêt",
    "opt-out",
    "opt out",
    "OPT OUT",
    "0000",
    "ＱＸ",
    "N",
    "不要",
    "别发",
    "勿扰",
    "请勿骚扰",
    "别烦我",
    "我要退订",
    "把我拉黑",
    "please stop sending me messages",
    "Leave me alone",
    "not interested, stop",
    "不需要再发了",
    "不要骚扰我",
    "停止发送",
    "stop texting me you",
    "退订！谢谢",
    "T D",
    "\u200btd",
    "回复TD退订",
    "take me off your list",
    "拒绝接收",
    "不接收",
    "请停止发送短信",
    "以后不要再发短信给我了",
    "我不想收到短信",
    "滚",
    "退訂",
    "請不要再發了",
    "r",
    "D",
    "QX",
    "回复R",
    "stopall",
    "STOP ALL",
    "Stop to end",
    "cancel",
    "revoke",
    "Remove me!",
]
COMPLAINT = [
    "投诉",
    "我要投诉你们",
    "再发就投诉",
    "举报",
    "complaint",
    "I will complain",
    "report spam",
    "再发投诉到工信部",
]
UNRECOGNISED = [
    "请问退货怎么退",
    "don't stop",
    "Don't stop!",
    "never stop sending these",
    "好的",
    "谢谢",
    "1",
    "Y",
    "yes",
    "什么时候发货",
    "退订了酒店怎么办",
    "怎么退订",
    "how do I stop?",
    "bus stop",
    "non-stop flight",
    "The end",
    "我没有投诉",
    "投诉电话是多少",
    "不要紧",
    "别发错了颜色，要红色的",
    "不要红色的，要蓝色",
    "can I cancel my order",
    "cancel my order",
    "取消订单",
    "请取消明天的预约",
    "退款",
    "",
    "  ",
    "no complaints",
    "...",
    "🙂",
    "tdx",
    "Mr. End will call",
    "不要忘记发货",
    "继续发",
    "不要停",
    "请不要再发错了",
    "不要发货",
    "别打折了吗",
    "拒收请回复R",
    "我想退货",
    "退货",
    "退款请尽快",
]


@pytest.mark.parametrize("text", OPT_OUT)
def test_a_plain_request_is_a_refusal(text: str) -> None:
    assert read_reply(text).kind is ReplyKind.OPT_OUT
    assert read_reply(text).refuses


@pytest.mark.parametrize("text", COMPLAINT)
def test_a_complaint_is_a_refusal_too(text: str) -> None:
    assert read_reply(text).kind is ReplyKind.COMPLAINT
    assert read_reply(text).refuses


@pytest.mark.parametrize("text", UNRECOGNISED)
def test_what_is_not_plain_is_left_to_a_person(text: str) -> None:
    assert read_reply(text).kind is ReplyKind.UNRECOGNISED
    assert not read_reply(text).refuses


@pytest.mark.parametrize("word", ["退订", "stop", "td", "取消订阅", "unsubscribe"])
@pytest.mark.parametrize("shape", ["{}", " {} ", "【{}】", "“{}”", "{}。", "{}!!!", "-{}-", "({})", "{}\n"])
def test_punctuation_and_case_do_not_matter(word: str, shape: str) -> None:
    assert read_reply(shape.format(word)).refuses
    assert read_reply(shape.format(word.upper())).refuses


@pytest.mark.parametrize(
    "piece", ["不要发短信广告", "请你们", "给我", "我想要", "any more ", "stop me now ", "\u0301", "投诉"]
)
def test_an_endless_text_is_left_to_a_person(piece: str) -> None:
    assert read_reply(piece * 5000 + "x").kind is ReplyKind.UNRECOGNISED
    assert not read_reply((piece * 80)[:75] + "zq").refuses or piece == "投诉"
