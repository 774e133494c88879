"""User agents and dialogs with errors, which the faults of the client's SIP use."""

from __future__ import annotations

import random
from collections.abc import Iterable

from lemonade_wire.sip.event import Output, SendDatagram, SendStream
from lemonade_wire.sip.message import SipRequest
from lemonade_wire.sip.settings import UaSettings
from lemonade_wire.sip.ua import UserAgent
from lemonade_wire.sip.ua.dialog import Dialog


class AckToRecord(Dialog):
    """A dialog that sends its ACK to the address of record, as in the draft's example (E-28)."""

    def ack_target(self) -> str:
        """Return the URI of the To header instead of that of the Contact."""
        return self.remote.uri


class SilentAgent(UserAgent):
    """A user agent that never acknowledges a 2xx."""

    def outputs(self) -> list[Output]:
        """Return the outputs without the ACKs."""
        return [one for one in super().outputs() if not _is_ack(one)]


def _is_ack(output: Output) -> bool:
    return isinstance(output, SendDatagram | SendStream) and output.data.startswith(b"ACK ")


class DraftDialog(AckToRecord):
    """A dialog that also has gaps between its CSeq numbers, as the draft's example has between 2 and 6 (E-29)."""

    def request(
        self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", target: str = ""
    ) -> SipRequest:
        """Build a request whose CSeq number is that of the one before plus four."""
        self.local_cseq += 3
        return super().request(method, headers, body, target)


class _SameTags(random.Random):
    """Random numbers that are all new, but those of 64 bits, which tags and Call-IDs are made of."""

    def getrandbits(self, k: int, /) -> int:
        return 7 if k == 64 else super().getrandbits(k)


class _SameFromTag(random.Random):
    """Random numbers that are all new, but every other one of 64 bits: a From tag, before the number of a Call-ID."""

    _made = 0

    def getrandbits(self, k: int, /) -> int:
        self._made += k == 64
        return 7 if k == 64 and self._made % 2 else super().getrandbits(k)


class _SameBranch(random.Random):
    """Random numbers that are all new, but those of 80 bits, which branches are made of."""

    def getrandbits(self, k: int, /) -> int:
        return 7 if k == 80 else super().getrandbits(k)


class _RepeatingAgent(UserAgent):
    """A user agent whose random numbers repeat."""

    numbers: type[random.Random]

    def __init__(
        self, settings: UaSettings, rng: random.Random | None = None, dialog_factory: type[Dialog] = Dialog
    ) -> None:
        super().__init__(settings, rng or self.numbers(), dialog_factory)


class SameTagsAgent(_RepeatingAgent):
    """A user agent whose tags are all the same; so are its Call-IDs, which it makes of tags."""

    numbers = _SameTags


class SameFromTagAgent(_RepeatingAgent):
    """A user agent whose INVITEs all have the same From tag."""

    numbers = _SameFromTag


class SameBranchAgent(_RepeatingAgent):
    """A user agent that sends all requests with the same branch."""

    numbers = _SameBranch
