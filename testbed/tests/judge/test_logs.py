"""Tokens and passwords in logs and traces are found in any encoding, and charged to the node that wrote the file."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from lemonade_testbed.testing.checking import run_check
from lemonade_testbed.testing.flow import Flow
from lemonade_wire.redaction import Redactor

TOKEN = "01" + "5ab4c3d2e1f6978866554433221100ff" * 2
OPAQUE = "Zm9vYmFyCg123456XyZ"
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in TOKEN)

LEAKS = {
    "bare": f"imap: ticket {TOKEN} made\n",
    "in upper case": f"imap: ticket {TOKEN.upper()}\n",
    "behind an equals sign": f"token={TOKEN}\n",
    "in JSON": json.dumps({"text": f"x {TOKEN} y"}) + "\n",
    "in JSON escapes": f'{{"text": "{ESCAPED}"}}\n',
    "percent-encoded": "imap: %3A" + "".join(f"%{ord(char):02x}" for char in TOKEN) + "\n",
    "percent-encoded twice": "".join(f"%25{ord(char):02x}" for char in TOKEN) + "\n",
    "base64": base64.b64encode(f"a {TOKEN} b".encode()).decode() + "\n",
    "base64 without padding": base64.urlsafe_b64encode(f"{TOKEN}".encode()).decode().rstrip("=") + "\n",
    "folded by an escape": f"{TOKEN[:20]}\\r\\n {TOKEN[20:]}\n",
    "in two lines": f"imap: made {TOKEN[:40]}\nimap:   {TOKEN[40:]} for joe\n",
    "in groups": f"imap: {' '.join(TOKEN[place : place + 4] for place in range(0, len(TOKEN), 4))}\n",
    "in dashed groups": f"imap: {'-'.join(TOKEN[place : place + 8] for place in range(0, 64, 8))}-{TOKEN[64:]}\n",
    "as octets in hexadecimal": f"imap: {f'a {TOKEN}'.encode().hex()}\n",
    "in groups with commas": f"imap: {','.join(TOKEN[place : place + 8] for place in range(0, 66, 8))}\n",
    "as octets with 0x": f"imap: {', '.join(f'0x{octet:02x}' for octet in bytes.fromhex(TOKEN))}\n",
    "in references of XML": f"imap: {''.join(f'&#{ord(char)};' for char in TOKEN)}\n",
    "base64 of the octets": f"imap: {base64.b64encode(bytes.fromhex(TOKEN)).decode()}\n",
    "base64 of UTF-16": f"imap: {base64.b64encode(TOKEN.encode('utf-16')).decode()}\n",
    "base64 of UTF-16, big end first": f"imap: {base64.b64encode(TOKEN.encode('utf-16-be')).decode()}\n",
    "base32": f"imap: {base64.b32encode(TOKEN.encode()).decode()}\n",
    "base32 of the octets": f"imap: {base64.b32encode(bytes.fromhex(TOKEN)).decode().rstrip('=')}\n",
    "as decimal octets": f"imap: {list(TOKEN.encode())}\n",
    "as decimal octets of the digits": f"imap: {' '.join(str(octet) for octet in bytes.fromhex(TOKEN))}\n",
    "reversed": f"imap: {TOKEN[::-1]}\n",
    "as a number": f"imap: {int(TOKEN, 16)}\n",
    "another shape": f"imap: {OPAQUE}\n",
}


def give_tickets(flow: Flow) -> None:
    """Give the tickets of the run known tokens."""
    redactor = Redactor("s")
    for message in flow.messages:
        message.text = message.text.replace("fp-0123456789abcdef", redactor.fingerprint(TOKEN))
    more = replace(flow["genurlauth-data"], name="more")
    more.text = more.text.replace(redactor.fingerprint(TOKEN), redactor.fingerprint(OPAQUE))
    flow.messages.insert(flow.messages.index(flow["genurlauth-ok"]), more)


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS)
@pytest.mark.parametrize("node", ["imap", "media", "client"])
def test_a_token_in_any_encoding_is_charged_to_its_writer(annc: Flow, text: str, node: str) -> None:
    give_tickets(annc)
    annc.files[f"{node}.log"] = text
    assert {breach.node for breach in run_check("no ticket in any log", annc).breaches} == {node}


HARMLESS = {
    "a digest": "imap: sha256 " + "ab" * 32 + "\n",
    "a fingerprint": f"imap: {Redactor('s').fingerprint(TOKEN)}\n",
    "base64 of sound": base64.b64encode(bytes(range(200))).decode() + "\n",
    "half a token": f"imap: {TOKEN[:32]}\n",
    "a percent sign": "imap: 100 % of %zz and \\x \\u12\n",
    "words in capitals": f"imap: {'ABCDEFGH' * 5}\n",
    "a long number": f"imap: {'9' * 80} {'9' * 5000}\n",
    "numbers with commas": "imap: 1,2, 30, 400, 0x50, 0x60, 0x70, 0x80\n",
    "nothing": "",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_other_words_than_tokens_are_green(annc: Flow, text: str) -> None:
    give_tickets(annc)
    annc.files["imap.log"] = text
    assert run_check("no ticket in any log", annc).ok


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("imap: 'joe' logged in with secret\n", True),
        ("imap: password secret\n", True),
        (f"imap: AUTHENTICATE PLAIN {base64.b64encode(b'nul joe secret'.replace(b' ', bytes(1))).decode()}\n", True),
        ('{"text": "LOGIN joe \\u0073ecret"}\n', True),
        ("imap: 'joe' logged in by AUTHENTICATE PLAIN\n", False),
        ("imap: the secret of the store is kept\n", False),
        ("imap: secretary joe\n", False),
    ],
)
def test_passwords_are_found(annc: Flow, text: str, leaks: bool) -> None:
    annc.files["imap.log"] = text
    assert [breach.node for breach in run_check("no password in any log", annc).breaches] == ["imap"] * leaks
