"""User agents and dialogs that are wrong on purpose: what the faults of calls are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from lemonade_wire.sip.dialog import Dialog
from lemonade_wire.sip.event import Output, SendDatagram, SendStream
from lemonade_wire.sip.message import Request
from lemonade_wire.sip.ua import UserAgent


class AckToRecord(Dialog):
    """A dialog that sends its ACK to the address of record, as the draft's example does (E-28)."""

    def ack_target(self) -> str:
        """Return the URI of the To header instead of the Contact's."""
        return self.remote.uri


class SilentAgent(UserAgent):
    """A user agent that never acknowledges a 2xx."""

    def outputs(self) -> list[Output]:
        """Return the outputs without the ACKs."""
        return [one for one in super().outputs() if not _is_ack(one)]


def _is_ack(output: Output) -> bool:
    return isinstance(output, SendDatagram | SendStream) and output.data.startswith(b"ACK ")


class DraftDialog(AckToRecord):
    """A dialog that has gaps between its CSeq numbers too, as the draft's example between 2 and 6 (E-29)."""

    def request(
        self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", target: str = ""
    ) -> Request:
        """Build a request whose number is four above the one before."""
        self.local_cseq += 3
        return super().request(method, headers, body, target)


def rewriting(rewrite: Callable[[bytes], bytes]) -> type[UserAgent]:
    """Return a user agent whose INVITEs over UDP go out as `rewrite` has them."""

    class Rewriting(UserAgent):
        def outputs(self) -> list[Output]:
            return [
                replace(one, data=rewrite(one.data))
                if isinstance(one, SendDatagram) and one.data.startswith(b"INVITE ")
                else one
                for one in super().outputs()
            ]

    return Rewriting


def without_headers(message: bytes) -> bytes:
    """Leave out what the draft's example of an INVITE lacks: Via, Max-Forwards, the From tag (E-15)."""
    head, blank, body = message.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\n(?:Via|Max-Forwards):[^\r]*", b"", head)
    return re.sub(rb"(\r\nFrom:[^\r]*?);tag=[^;\r]*", rb"\1", head) + blank + body


def with_length(change: int) -> Callable[[bytes], bytes]:
    """Return what changes the Content-Length of a message by so many octets (E-19)."""
    length = re.compile(rb"(?<=\r\nContent-Length: )[0-9]+")

    def rewrite(message: bytes) -> bytes:
        return length.sub(lambda found: b"%d" % (int(found[0]) + change), message, count=1)

    return rewrite
