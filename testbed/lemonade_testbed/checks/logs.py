"""Checks of logs and traces: they must show no token of a ticket and no password, in any encoding."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import unquote

from lemonade_testbed.checks.base import Check
from lemonade_testbed.evidence import Evidence
from lemonade_testbed.scenario.model import Scenario
from lemonade_testbed.verdict import Breach, CheckResult
from lemonade_wire.redaction import FINGERPRINT, Redactor

_FINGERPRINTS = "fingerprints alone"
_NO_TOKEN = ("LS-3-11",)
_WORD = re.compile(r"[A-Za-z0-9]{16,}")
"""A word that may be a token: most servers write hexadecimal, some use other characters."""
_HEX = re.compile(r"[0-9A-Fa-f]{32,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_BASE32 = re.compile(r"[A-Za-z2-7]{32,}")
_INTEGER = re.compile(r"(?<![0-9A-Za-z])[0-9]{39,}(?![0-9A-Za-z])")
"""A decimal number that has more than 128 bits."""
_PAUSE = r"(?:, ?|[ :;.-])"
_GROUPS = re.compile(
    rf"(?<![0-9A-Fa-f])(?:0x)?[0-9A-Fa-f]{{2,16}}(?:{_PAUSE}(?:0x)?[0-9A-Fa-f]{{2,16}}){{3,}}(?![0-9A-Fa-f])"
)
"""A hexadecimal word that is written in groups, each with or without `0x` before it."""
_DECIMALS = re.compile(r"(?<!\d)\d{1,3}(?:(?:, ?|[ ;.-])\d{1,3}){15,}(?!\d)")
"""Octets that are written as decimal numbers, 16 or more."""
_BETWEEN_GROUPS = re.compile(rf"{_PAUSE}|0x")
_FOLD = re.compile(r"(?:\\r)?\\n[ \t]+")
"""A line break with white space after it, written as an escape within a line."""
_PREFIX = re.compile(r"^(?:[\w.-]+: +)?[ \t]*")
_LOGIN_WORDS = re.compile(r"passw|pwd|login|logged|auth|plain|credential", re.IGNORECASE)
_MOST_DECODINGS = 3
_LONGEST_INTEGER = 400
"""Digits of the longest decimal number that is read as a token; Python refuses to read very long ones."""


def _no_ticket(_scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "no log and no trace shows a ticket's token"
    redactor = Redactor(evidence.world.salt)
    tickets = {found for text in _texts(evidence) for found in FINGERPRINT.findall(text)}
    known: dict[str, bool] = {}

    def is_token(word: str) -> bool:
        if word not in known:
            forms = {way for one in (word, word[::-1]) for way in (one, one.lower(), one.upper())}
            known[word] = any(redactor.fingerprint(form) in tickets for form in forms)
        return known[word]

    breaches = tuple(
        Breach(_writer_of(name), _NO_TOKEN, _FINGERPRINTS, f"{name}, line {number}", evidence.world.ended, alone=True)
        for name, text in sorted(evidence.files.items())
        for number in _lines_with_tokens(text, redactor, is_token if tickets else lambda _word: False)
    )
    return CheckResult(requirement, _FINGERPRINTS, _FINGERPRINTS, breaches)


def _texts(evidence: Evidence) -> Iterator[str]:
    yield from evidence.files.values()
    yield from (event.text("text") for event in evidence.events)


def _lines_with_tokens(text: str, redactor: Redactor, is_token: Callable[[str], bool]) -> Iterator[int]:
    """Yield the numbers of the lines that show a token."""
    before = ""
    for number, line in enumerate(text.splitlines(), 1):
        if '"event": "rtp"' in line:
            continue  # the payload of an RTP packet is sound
        marked = ":" in line and redactor.text(line) != line
        folded = _word_across_lines(before, line)
        if marked or any(is_token(word) for form in (*spellings(line), folded) for word in _words(form)):
            yield number
        before = line


def _word_across_lines(before: str, line: str) -> str:
    """Return the word that continues from the end of one line into the next; an empty text if there is none."""
    begun = re.search(r"[A-Za-z0-9]+$", before.rstrip())
    goes_on = re.match(r"[A-Za-z0-9]+", _PREFIX.sub("", line, count=1))
    return begun[0] + goes_on[0] if begun and goes_on else ""


def _words(text: str) -> set[str]:
    return {*_WORD.findall(text), *_HEX.findall(text)}


def spellings(line: str) -> set[str]:
    """Return the line as it is, and decoded from JSON escapes, references of XML, percent-encoding, folding and groups.

    Words of hexadecimal, base64 and base32, lists of decimal octets and long decimal numbers are decoded
    to text and to hexadecimal octets.
    """
    found = {line, _FOLD.sub("", line)}
    if "\\" in line:
        found |= {_unescaped(form) for form in found}
    for _ in range(_MOST_DECODINGS):
        found |= {unquote(form) for form in found if "%" in form}
    found |= {html.unescape(form) for form in found if "&" in form}
    found |= {_BETWEEN_GROUPS.sub("", group[0]) for form in tuple(found) for group in _GROUPS.finditer(form)}
    for form in tuple(found):
        found |= {text for word in _HEX.findall(form) for text in _texts_of(_from_hex(word))}
        found |= {text for word in _BASE64.findall(form) for text in _texts_of(_from_base64(word))}
        found |= {text for word in _BASE32.findall(form) for text in _texts_of(_from_base32(word))}
        found |= {text for word in _DECIMALS.findall(form) for text in _texts_of(_from_decimals(word))}
        found |= {_hexadecimal(int(word)) for word in _INTEGER.findall(form) if len(word) <= _LONGEST_INTEGER}
    return found


def _texts_of(octets: bytes) -> Iterator[str]:
    """Yield octets as hexadecimal, and as text if they are ASCII or UTF-16 of ASCII characters."""
    if not octets:
        return
    yield octets.hex()
    for codec in ("ascii", "utf-16-le", "utf-16-be"):
        with suppress(UnicodeDecodeError):
            text = octets.decode(codec).removeprefix("\ufeff")
            if text.isascii():
                yield text


def _hexadecimal(number: int) -> str:
    """Return a number as hexadecimal digits, two for each octet."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex()


def _unescaped(text: str) -> str:
    """Replace the escapes of JSON; text that is not an escape stays unchanged."""

    def escape(match: re.Match[str]) -> str:
        try:
            return str(json.loads(f'"{match[0]}"'))
        except ValueError:
            return match[0]

    return re.sub(r"\\(?:u[0-9A-Fa-f]{4}|[\"\\/bfnrt])", escape, text)


def _from_hex(word: str) -> bytes:
    """Return the octets of a word of hexadecimal digits; a last odd digit is left out."""
    return bytes.fromhex(word[: len(word) // 2 * 2])


def _from_decimals(words: str) -> bytes:
    """Return the octets of a list of decimal numbers; returns no octets if one is above 255."""
    numbers = [int(word) for word in re.findall(r"\d+", words)]
    return bytes(numbers) if max(numbers) <= 255 else b""


def _from_base64(word: str) -> bytes:
    """Decode base64 in either alphabet, with or without padding; returns no octets if it is no base64."""
    plain = word.rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _from_base32(word: str) -> bytes:
    """Decode base32 (RFC 4648, section 6) with or without padding; returns no octets if it is no base32."""
    try:
        return base64.b32decode(word + "=" * (-len(word) % 8), casefold=True)
    except binascii.Error:
        return b""


def _no_password(scenario: Scenario, evidence: Evidence, _file: str) -> CheckResult:
    requirement = "no log and no trace shows a password"
    accounts = dict(scenario.given.users)
    if scenario.given.identity is not None:
        accounts[scenario.given.identity[0]] = scenario.given.identity[1]
    breaches = tuple(
        Breach(_writer_of(name), _NO_TOKEN, "no password", f"{name}, line {number}", evidence.world.ended, alone=True)
        for name, text in sorted(evidence.files.items())
        for number, line in enumerate(text.splitlines(), 1)
        if any(_shows_password(line, user, password) for user, password in accounts.items())
    )
    return CheckResult(requirement, "no password", "no password" if not breaches else breaches[0].seen, breaches)


def _shows_password(line: str, user: str, password: str) -> bool:
    """Tell whether a line shows a password: next to its account, next to a word about logins, or in a SASL message.

    A password may also be an ordinary word, which by itself shows nothing.
    """
    if '"event": "rtp"' in line:
        return False
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(password)}(?![A-Za-z0-9])")
    beside = re.compile(rf"(?<![A-Za-z0-9]){re.escape(user)}(?![A-Za-z0-9])")
    for form in spellings(line):
        if f"\0{password}" in form or (word.search(form) and (beside.search(form) or _LOGIN_WORDS.search(form))):
            return True
    return False


def _writer_of(name: str) -> str:
    """Return the node that wrote a log or a trace."""
    return name.removeprefix("trace-").partition(".")[0]


CHECKS = (
    Check(
        "no ticket in any log",
        _NO_TOKEN,
        "logs and traces have fingerprints of tickets and no tokens, in any encoding",
        _no_ticket,
    ),
    Check(
        "no password in any log",
        _NO_TOKEN,
        "logs and traces have no password of an account",
        _no_password,
    ),
)
