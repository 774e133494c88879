"""Session timers (RFC 4028): what a 2xx says of them, when a session is refreshed, and when it is over."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message import Message, Request, Response
from lemonade_wire.sip.text import find_param, parse_params

TIMER = "timer"
"""The option tag."""
LEAST = 90
"""Seconds: no smaller interval may be asked for (section 4), and none is taken from who could be told."""
_SECONDS = re.compile(r"[0-9]{1,9}")


def supports_timers(message: Message) -> bool:
    """Whether the sender does session timers itself."""
    return any(tag.lower() == TIMER for tag in message.supported)


def interval_of(message: Message) -> tuple[int, str] | None:
    """Return what Session-Expires says, seconds and refresher ("" where none is named); raises SipParseError."""
    text = message.headers.get("Session-Expires")
    if text is None:
        return None
    number, semicolon, params = text.partition(";")
    refresher = (find_param(parse_params(semicolon + params), "refresher") or "").lower()
    return _seconds(number, "Session-Expires"), refresher if refresher in {"uac", "uas"} else ""


def least_of(message: Message) -> int:
    """Return what Min-SE says, else `LEAST`; raises SipParseError."""
    text = message.headers.get("Min-SE")
    return LEAST if text is None else _seconds(text.partition(";")[0], "Min-SE")


def too_small(request: Request) -> bool:
    """Whether an INVITE is to be refused by 422 (section 9); raises SipParseError."""
    wanted = interval_of(request)
    least_of(request)
    return wanted is not None and wanted[0] < LEAST and supports_timers(request)


@dataclass
class SessionTimer:
    """The timer of one session, from the last 2xx to an INVITE on."""

    interval: int
    """Seconds from one 2xx to the session's end."""
    ours: bool
    """This side refreshes."""
    told: bool
    """The peer does timers too, and is to be told in Require what was agreed."""
    least: int
    """The greatest Min-SE that the dialog has seen."""
    since: float
    """When the 2xx was sent or came."""
    refreshed: bool = False
    """A refresh was tried in this interval."""

    @classmethod
    def as_answerer(cls, request: Request, now: float) -> SessionTimer | None:
        """Agree to what an INVITE asks for (section 9 with its table 2); None: no timer, or one that is not taken.

        Who leaves the choice to us refreshes itself. An interval below 90 s of a peer that knows no 422 is let be.
        """
        wanted = interval_of(request)
        if wanted is None or wanted[0] < LEAST:
            return None
        told = supports_timers(request)
        return cls(wanted[0], not told or wanted[1] == "uas", told, least_of(request), now)

    def answer_headers(self) -> list[tuple[str, str]]:
        """Return what the 2xx says of the timer."""
        require = [("Require", TIMER)] if self.told else []
        return [*require, ("Session-Expires", f"{self.interval};refresher={'uas' if self.ours else 'uac'}")]

    def request_headers(self) -> list[tuple[str, str]]:
        """Return what a re-INVITE of ours says of the timer (section 7.4); roles stay as they are."""
        least = [("Min-SE", str(self.least))] if self.least > LEAST else []
        interval = max(self.interval, self.least)
        return [("Session-Expires", f"{interval};refresher={'uac' if self.ours else 'uas'}"), *least]

    @classmethod
    def as_caller(cls, response: Response, now: float, least: int = LEAST) -> SessionTimer | None:
        """Take what a 2xx to our INVITE says (section 7.2); None: there is no timer. Raises SipParseError."""
        said = interval_of(response)
        if said is None:
            return None
        return cls(max(said[0], LEAST), said[1] != "uas", supports_timers(response), least, now)

    def answered(self, response: Response, now: float) -> SessionTimer | None:
        """Return the timer after a 2xx to our re-INVITE; None: it was turned off. Raises SipParseError.

        A peer that says nothing while we refresh does no timers: another on the way wanted this one, so it goes on.
        """
        agreed = SessionTimer.as_caller(response, now, self.least)
        if agreed is None and self.ours and not self.told:
            return SessionTimer(max(self.interval, self.least), True, False, self.least, now)
        return agreed

    def refused(self, response: Response) -> bool:
        """Take a 422 to a refresh of ours; True: it named an interval that may be tried. Raises SipParseError."""
        least = least_of(response)
        larger = least > max(self.interval, self.least)
        self.least = max(self.least, least)
        return larger

    def refresh_at(self) -> float:
        """Return when this side refreshes: at half the interval, once; infinity where it does not."""
        return self.since + self.interval / 2 if self.ours and not self.refreshed else math.inf

    def ends_at(self) -> float:
        """Return when the session is ended by BYE: a little before it expires (section 10)."""
        return self.since + self.interval - min(32, self.interval / 3)


def _seconds(text: str, name: str) -> int:
    if not _SECONDS.fullmatch(text.strip()):
        raise SipParseError(f"Bad {name}")
    return int(text)
