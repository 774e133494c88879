"""The spellings in which tests give secrets to nodes, and the forms in which they look for them afterwards."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote

from lemonade_wire.decoded_text import MAX_PASSES

TOKEN = "01" + "5ec2e7" * 10 + "5e"
TICKET = f"imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:{TOKEN}"
PASSWORD = "Tr0ub4dor-Xq7"  # noqa: S105  it is given to nodes of tests alone
"""A password that is a part of no other text."""


def _each(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(char)) for char in text)


def _every_other(form: str) -> Callable[[str], str]:
    return lambda text: "".join(form.format(ord(char)) if place % 2 else char for place, char in enumerate(text))


def _base64(text: str, code: str = "utf-8") -> str:
    return base64.b64encode(text.encode(code)).decode()


def _nuls(text: str, code: str) -> str:
    return text.encode(code).decode(errors="replace")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "lower case": lambda text: text.replace("INTERNAL", "internal"),
    "mixed case": lambda text: text.replace("INTERNAL", "InTeRnAl"),
    "percent-encoded": lambda text: quote(text, safe=""),
    "each octet percent-encoded": _each("%{:02x}"),
    "each octet percent-encoded in capitals": _each("%{:02X}"),
    "every other octet percent-encoded": _every_other("%{:02x}"),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded three times": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "decimal references": _each("&#{};"),
    "decimal references with zeros": _each("&#00{};"),
    "hexadecimal references": _each("&#x{:x};"),
    "hexadecimal references in capitals": _every_other("&#x{:X};"),
    "references of references": _each("&amp;#{};"),
    "references in percent-encoding": lambda text: quote(_each("&#{};")(text), safe=""),
    "percent-encoding in references": lambda text: _each("&#{};")(_every_other("%{:02x}")(text)),
    "CDATA sections": lambda text: "".join(f"<![CDATA[{text[at : at + 3]}]]>" for at in range(0, len(text), 3)),
    "backslashes": lambda text: re.sub(r"([^\w])", r"\\\1", text),
    "escapes of JSON": _each("\\u{:04x}"),
    "escapes of octets": _each("\\x{:02x}"),
    "quoted-printable": _each("={:02X}"),
    "quoted-printable with soft line breaks": lambda text: "=\r\n".join(
        text[at : at + 7] for at in range(0, len(text), 7)
    ),
    "base64": _base64,
    "base64 behind one octet": lambda text: _base64("x" + text),
    "base64 behind two octets": lambda text: _base64("xy" + text),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: re.sub(r"(.{40})", r"\1\r\n", _base64(text)),
    "base64 of UTF-16": lambda text: _base64(text, "utf-16"),
    "base64 of percent-encoding": lambda text: _base64(_each("%{:02x}")(text)),
    "hexadecimal digits": lambda text: text.encode().hex(),
    "hexadecimal digits in capitals": lambda text: text.encode().hex().upper(),
    "UTF-16": lambda text: _nuls(text, "utf-16"),
    "UTF-16, most significant octet first": lambda text: _nuls(text, "utf-16-be"),
}
"""By name: how a text is spelt."""


def spell_too_deeply(text: str) -> str:
    """Return a text whose colons are spelt in more ways, one inside of the other, than are decoded."""
    text = text.replace(":", "&#58;")
    for _ in range(MAX_PASSES // 2):
        text = text.replace("&", "%26").replace("%", "&#37;")
    return text


def shown_forms(written: bytes, secret: str) -> list[str]:
    """Return the names of the forms in which `written` shows `secret`; escapes of JSON are also read."""
    texts = [written.decode("latin-1")]
    texts += [re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), texts[0])]
    codes = {code: secret.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")}
    forms = {"in JSON": json.dumps(secret)[1:-1], "percent-encoded": quote(secret, safe="")}
    forms |= {f"{name}, each octet": spell(secret) for name, spell in SPELLINGS.items() if name.endswith("references")}
    forms["each octet percent-encoded"] = _each("%{:02x}")(secret)
    for code, octets in codes.items():
        forms[code] = octets.decode("latin-1")
        forms[f"{code} in hexadecimal digits"] = octets.hex()
        for place in range(3):
            # The first and the last octets share digits with those around them.
            inner = octets[(3 - place) % 3 :]
            inner = inner[: len(inner) // 3 * 3]
            forms[f"{code} in base64, {place}"] = base64.b64encode(inner).decode()
    return sorted({name for name, form in forms.items() for text in texts if form.lower() in text.lower()})


_PLAIN = base64.b64encode(f"\0joe\0{PASSWORD}".encode()).decode()
LOGIN_SPELLINGS: tuple[str, ...] = (
    f"a LOGIN joe {PASSWORD}",
    f"a login joe {PASSWORD}",
    f'a LoGiN "joe" "{PASSWORD}"',
    f'a LOGIN "j\\"o\\\\e" "{PASSWORD}"',
    f"a  LOGIN  joe  {PASSWORD}",
    f"a LOGIN {PASSWORD}",
    f'a LOGIN "joe {PASSWORD}',
    f"a LOGIN joe\t{PASSWORD}",
    f'a LOGIN joe"{PASSWORD}"',
    f"a LOGIN(joe {PASSWORD})",
    f"a LOGIN-{PASSWORD}",
    f"a LOGIN{PASSWORD}",
    f"a LOGIN joe {{{len(PASSWORD)}}} {PASSWORD}",
    f"a LOGINX joe {PASSWORD}",
    f"a LOGN joe {PASSWORD}",
    f"a UID LOGIN joe {PASSWORD}",
    f"a\tLOGIN\tjoe\t{PASSWORD}",
    f" a LOGIN joe {PASSWORD}",
    f"LOGIN joe {PASSWORD}",
    f"joe {PASSWORD}",
    PASSWORD,
    f"a NOOP\rb LOGIN joe {PASSWORD}",
    f"a \0LOGIN joe {PASSWORD}",
    f"* LOGIN joe {PASSWORD}",
    f"a USER joe PASS {PASSWORD}",
    f"a AUTHENTICATE PLAIN {_PLAIN}",
    f"a AUTHENTICATE {_PLAIN}",
    f"a AUTHENTICATE PLAIN={_PLAIN}",
    f"a AUTHENTICATE PLAIN-{_PLAIN}",
    f"a AUTHENTICATEPLAIN {_PLAIN}",
    f"a AUTH PLAIN {_PLAIN}",
    f"AUTH PLAIN {_PLAIN}",
    f"AUTHENTICATE PLAIN {_PLAIN}",
    _PLAIN,
    f"a AUTHENTICATE XPLAIN {_PLAIN.encode().hex()}",
)
"""Lines by which a client, or a person at a keyboard, gives a password to an IMAP server, correctly or not."""
