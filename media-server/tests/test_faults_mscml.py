"""What each fault of the media server's MSCML documents changes, octet by octet."""

from __future__ import annotations

import pytest

from lemonade_media.faults.mscml import MSCML_FAULTS, NotificationEdit, ResponseEdit
from lemonade_media.faults.registry import FAULTS

RESPONSE = (
    b'<MediaServerControl version="1.0"><response request="playcollect" id="1" code="200" text="OK" reason="timeout" '
    b'playduration="12000ms" playoffset="900ms" digits="" reclength="800" recduration="40ms">'
    b'<error_info code="404" context="imap://x" text="no"/></response></MediaServerControl>'
)
KEYPRESS = b'<notification><keypress digit="1" length="1" method="standard" interdigittime="300ms"/></notification>'
RESPONSES = {
    "id-not-echoed": (b' id="1"', b""),
    "text-missing": (b' text="OK"', b""),
    "draft-response": (b' text="OK"', b""),
    "request-misnamed": (b'"playcollect"', b'"play"'),
    "digits-invented": (b'digits=""', b'digits="789"'),
    "digits-missing": (b' digits=""', b""),
    "reason-wrong": (b'"timeout"', b'"returnkey"'),
    "context-missing": (b' context="imap://x"', b""),
    "recording-untold": (b' recduration="40ms"', b""),
    "recording-too-long": (b'"40ms"', b'"400ms"'),
    "recording-length-doubled": (b'"800"', b'"1600"'),
    "lengths-missing": (b' playduration="12000ms" playoffset="900ms"', b""),
    "duration-too-short": (b'"12000ms"', b'"11500ms"'),
    "time-with-blank": (b'12000ms" playoffset="900ms', b'12000 ms" playoffset="900 ms'),
    "mscml-other-version": (b'version="1.0"', b'version="2.0"'),
}
NOTIFICATIONS = {
    "interdigit-wrong": (b'"300ms"', b'"5000ms"'),
    "keypress-method-missing": (b' method="standard"', b""),
}


def test_each_fault_of_documents_is_in_a_table() -> None:
    assert {fault.name for fault in MSCML_FAULTS if isinstance(fault, ResponseEdit)} == {*RESPONSES}
    assert {fault.name for fault in MSCML_FAULTS if isinstance(fault, NotificationEdit)} == {*NOTIFICATIONS}


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_is_changed_in_one_place(name: str) -> None:
    fault = FAULTS.pick(name)
    old, new = RESPONSES[name]
    assert isinstance(fault, ResponseEdit)
    assert old in RESPONSE
    assert fault.rewrite(RESPONSE) == RESPONSE.replace(old, new)


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_a_notification_is_changed_in_one_place(name: str) -> None:
    fault = FAULTS.pick(name)
    old, new = NOTIFICATIONS[name]
    assert isinstance(fault, NotificationEdit)
    assert old in KEYPRESS
    assert fault.rewrite(KEYPRESS) == KEYPRESS.replace(old, new)
