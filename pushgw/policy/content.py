"""Title, body, ext and sound of a notification, from a message. Vendors' limits are applied later, by the vendors."""

from __future__ import annotations

from typing import NamedTuple

from pushgw.messages.model import Element, OfflineMessage, OfflinePushInfo, Words
from pushgw.settings import PolicySettings

TEXT_ELEMENT = "TIMTextElem"
CUSTOM_ELEMENT = "TIMCustomElem"
FALLBACK_TITLE = "a new message"
"""What Tencent's Android guides show as title; also what is left of a template whose ``{name}`` is unknown."""

ELEMENT_LABELS: dict[str, dict[str, str]] = {
    "zh": {
        "TIMLocationElem": "[位置]",
        "TIMFaceElem": "[表情]",
        "TIMSoundElem": "[语音]",
        "TIMImageElem": "[图片]",
        "TIMFileElem": "[文件]",
        "TIMVideoFileElem": "[视频]",
        "TIMRelayElem": "[聊天记录]",
    },
    "en": {
        "TIMLocationElem": "[Location]",
        "TIMFaceElem": "[Face]",
        "TIMSoundElem": "[Voice]",
        "TIMImageElem": "[Image]",
        "TIMFileElem": "[File]",
        "TIMVideoFileElem": "[Video]",
        "TIMRelayElem": "[Chat History]",
    },
}
"""What stands for an element that has no text of its own. Tencent's message format page documents the Chinese ones
(save video and relay) and the English ones of location and face; the rest is ours."""

_ANY_LABELS = ELEMENT_LABELS["zh"]


class Text(NamedTuple):
    """What a notification says. An empty title is left to the platform."""

    title: str
    body: str


def compose(message: OfflineMessage, *, ios: bool, lang: str, options: PolicySettings) -> Text:
    """Title and body for one kind of platform in one language (``zh`` or ``en``).

    Of ``MultiLanguageContent`` the entry of that language; what it lacks comes from Title and Desc, then from the message's
    body, and where there is none either, from the first entry.
    """
    info = message.push_info
    given, described = _own_words(info, lang)
    if ios:
        apns = info.apns if info is not None else None
        title = (apns.title if apns is not None else None) or given
        body = described or _prefixed(message, default_body(message, lang))
    else:
        title = given or _android_title(message, options.android_title)
        body = described or _android_body(message, lang, options.android_title, given)
    if not body and info is not None and info.languages:
        body = _first_desc(info.languages)
    return Text(title, body)


def default_body(message: OfflineMessage, lang: str) -> str:
    """The elements' texts in their order, nothing between them; empty when no element has one."""
    labels = ELEMENT_LABELS.get(lang, _ANY_LABELS)
    body = message.body
    if len(body) == 1:
        return _element_text(body[0], labels)
    return "".join([_element_text(element, labels) for element in body])


def has_body(message: OfflineMessage) -> bool:
    """Whether there is anything to show, in whatever language."""
    info = message.push_info
    if info is not None and (info.desc or (info.languages and _first_desc(info.languages))):
        return True
    for element in message.body:  # noqa: SIM110  any() makes a generator: three times the price, once a message
        if _element_text(element, _ANY_LABELS):
            return True
    return False


def ext_of(message: OfflineMessage) -> str:
    """The pass-through string: that of OfflinePushInfo where the object is present, else of the custom element."""
    if message.push_info is not None:
        return message.push_info.ext
    custom = _custom_element(message)
    return custom.ext if custom is not None else ""


def sound_of(message: OfflineMessage) -> str | None:
    """The custom element's sound, unless OfflinePushInfo is present: its platform objects then name the sound."""
    if message.push_info is not None:
        return None
    custom = _custom_element(message)
    return (custom.sound or None) if custom is not None else None


def _own_words(info: OfflinePushInfo | None, lang: str) -> tuple[str, str]:
    """Title and Desc of OfflinePushInfo: shown as they are, without a name before them."""
    if info is None:
        return "", ""
    if info.languages is None or lang not in info.languages:
        return info.title, info.desc
    words = info.languages[lang]
    return words.title or info.title, words.desc or info.desc


def _first_desc(languages: dict[str, Words]) -> str:
    """Text in a language that was not asked for: better than none."""
    return next((words.desc for words in languages.values() if words.desc), "")


def _element_text(element: Element, labels: dict[str, str]) -> str:
    if element.type == TEXT_ELEMENT:
        return element.text
    if element.type == CUSTOM_ELEMENT:
        return element.desc
    return labels.get(element.type, "")


def _android_title(message: OfflineMessage, template: str) -> str:
    if "{name}" not in template:
        return template
    name = message.sender_nick if message.group_id is None else message.group_name
    return template.replace("{name}", name) if name else FALLBACK_TITLE


def _android_body(message: OfflineMessage, lang: str, template: str, given_title: str) -> str:
    body = default_body(message, lang)
    if given_title or (message.group_id is None and "{name}" in template):
        return body  # somebody else's title, or one that names the sender already
    return _prefixed(message, body)


def _prefixed(message: OfflineMessage, body: str) -> str:
    """``Nick:body``, in a group ``Name(GroupName):body``, where Name is the name card or else the nick."""
    if not body:
        return body
    if message.group_id is None:
        return f"{message.sender_nick}:{body}" if message.sender_nick else body
    name = message.sender_card or message.sender_nick or ""
    if message.group_name:
        return f"{name}({message.group_name}):{body}"
    return f"{name}:{body}" if name else body


def _custom_element(message: OfflineMessage) -> Element | None:
    for element in message.body:
        if element.type == CUSTOM_ELEMENT:
            return element
    return None
