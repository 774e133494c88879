"""Keeps tickets out of logs, traces and reports: a token becomes a fingerprint (LS-3-11, E-39).

A fingerprint is made with one salt per run, so that fingerprints of different nodes compare and say nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import unquote

FINGERPRINT = re.compile(r"fp-[0-9a-f]{16}")


def _any_encoding(char: str) -> str:
    """Return a pattern for `char` in either case, plain or percent-encoded once or more."""
    codes = "|".join(sorted({f"{ord(form):02x}" for form in (char.lower(), char.upper())}))
    return f"(?:{re.escape(char)}|%(?:25)*(?:{codes}))"


_MARK = "".join(_any_encoding(char) for char in ":internal:")
_TICKET = re.compile(rf"({_MARK})([^\s\"'<>;,&(){{}}\\]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Redactor:
    """Replaces what follows `:INTERNAL:`, in any case and any percent-encoding, by a fingerprint."""

    salt: str

    def fingerprint(self, token: str) -> str:
        """Return the fingerprint of a token; percent-encodings of one token give one fingerprint."""
        decoded = unquote(token)
        while decoded != token:
            token, decoded = decoded, unquote(decoded)
        digest = hmac.new(self.salt.encode(), decoded.encode(), hashlib.sha256).hexdigest()
        return f"fp-{digest[:16]}"

    def text(self, text: str) -> str:
        """Return `text` with every ticket's token replaced; what is redacted already stays as it is."""
        return _TICKET.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        mark, token = match.groups()
        return mark + (token if FINGERPRINT.fullmatch(token) else self.fingerprint(token))
