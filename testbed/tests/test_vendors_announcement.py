"""The IMAP part of the clients whose programs only make calls; it is loaded from the folder of their images."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest

from lemonade_testbed.places import Places
from lemonade_testbed.vendors.catalogue import COMPOSE
from lemonade_wire.sip.netann import escape


@pytest.fixture(scope="module")
def mail() -> ModuleType:
    path = COMPOSE / "vendors" / "announcement" / "announcement.py"
    spec = importlib.util.spec_from_file_location("announcement", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "video", "supported"),
    [
        ("announcement-service", False, True),
        ("forged-ticket", False, True),
        ("video-rejected", True, True),
        ("video-rejected", False, False),
        ("ivr-service", True, False),
        ("rewind", True, False),
    ],
)
def test_only_announcement_scenarios_are_supported(mail: ModuleType, name: str, video: bool, supported: bool) -> None:
    (scenario,) = Places.find().load([name])
    steps = [dict(step) for step in scenario.client]
    if supported:
        assert list(mail.read_steps(steps, video=video))[:3] == ["find-part", "authorise", "announce"]
    else:
        with pytest.raises(mail.UnsupportedError):
            mail.read_steps(steps, video=video)


@pytest.mark.parametrize(
    "step", [{"x-1": {}}, {"announce": {"offer": ["OPUS/48000"]}}, {"announce": {"colour": "red"}}]
)
def test_an_unknown_step_or_argument_is_unsupported(mail: ModuleType, step: dict[str, Any]) -> None:
    with pytest.raises(mail.UnsupportedError):
        mail.read_steps([{"find-part": {}}, {"authorise": {}}, step], video=True)


def test_the_part_is_found_at_any_section(mail: ModuleType) -> None:
    answer = [
        b'1 (UID 1 BODYSTRUCTURE (("TEXT" "PLAIN" NIL NIL NIL "7BIT" 78 4)'
        b'(("TEXT" "HTML" NIL NIL NIL "7BIT" 1 1)("AUDIO" "BASIC" NIL NIL NIL "BASE64" 8 NIL) "ALTERNATIVE") "MIXED"))'
    ]
    structure = mail.structure_of(answer)
    assert mail.find_part(structure, "audio/*") == "2.2"
    assert mail.find_part(structure, "text/html") == "2.1"
    assert mail.find_part(structure, "video/*") is None
    single = mail.structure_of([b'1 (BODYSTRUCTURE ("audio" "wav" ("name" "a (b).wav") NIL NIL "base64" 8 NIL) UID 7)'])
    assert mail.find_part(single, "audio/wav") == "1"
    named = mail.structure_of([(b'1 (BODYSTRUCTURE ("audio" "wav" ("name" {3}', b"a b"), b') NIL NIL "base64" 8))'])
    assert mail.find_part(named, "audio/*") == "1"


def test_the_url_goes_into_the_call_escaped_once(mail: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEMONADE_RESOLVE", "media.example.net=127.0.0.2:5080")
    monkeypatch.setenv("LEMONADE_LISTEN", "127.0.0.3:5062")
    url = "imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2;URLAUTH=anonymous:internal:00ff"
    steps = {"announce": {"offer": ["PCMU/8000"], "url": "$url00", "expect": "404"}, "listen": {"until": "2 s"}}
    call = mail.plan_call({"media": "sip:media.example.net", "media-length": "12.0"}, steps, url)
    assert call.target == f"sip:annc@media.example.net;play={escape(url + '00')}"
    assert (call.media_host, call.media_port, call.own_address, call.own_port) == ("127.0.0.2", 5080, "127.0.0.3", 5062)
    assert (call.expect, call.seconds, call.patience) == ("404", 2.0, 17.0)


@pytest.mark.parametrize(
    ("text", "value"), [("10 min", 600), ("-1 min", -60), ("500 ms", 0.5), ("2 s", 2), ("1h", 3600)]
)
def test_a_duration_is_read_in_seconds(mail: ModuleType, text: str, value: float) -> None:
    assert mail.seconds(text) == value


def test_no_ticket_reaches_the_log(mail: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    mail.log("dial sip:a;play=imap%3A//x%3AINTERNAL%3A00ff00 and imap://x:internal:00ff00!")
    told = capsys.readouterr().err
    assert "00ff00" not in told
    assert told.count("(and its ticket)") == 2
