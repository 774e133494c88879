"""Session timers (RFC 4028): the headers that negotiate them, the time of a refresh, and the end of a session."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.message import SipMessage, SipRequest, SipResponse
from lemonade_wire.sip.message.text import find_param, parse_params

TIMER = "timer"
"""The option tag."""
LEAST = 90
"""The smallest session interval in seconds (section 4). A smaller one is refused by 422 if the peer supports timers."""
_SECONDS = re.compile(r"[0-9]{1,9}")


def supports_timers(message: SipMessage) -> bool:
    """Return whether the sender supports session timers: its Supported header has the option tag."""
    return any(tag.lower() == TIMER for tag in message.supported)


# RFC 4028 section 4:
#   Session-Expires  =  ("Session-Expires" / "x") HCOLON delta-seconds *(SEMI se-params)
#   se-params        =  refresher-param / generic-param
#   refresher-param  =  "refresher" EQUAL ("uas" / "uac")
def interval_of(message: SipMessage) -> tuple[int, str] | None:
    """Return the interval of Session-Expires in seconds, and its refresher ("" if not given); raises SipParseError.

    None if the header is absent.
    """
    text = message.headers.get("Session-Expires")
    if text is None:
        return None
    number, semicolon, params = text.partition(";")
    refresher = (find_param(parse_params(semicolon + params), "refresher") or "").lower()
    return _seconds(number, "Session-Expires"), refresher if refresher in {"uac", "uas"} else ""


# RFC 4028 section 5: Min-SE = "Min-SE" HCOLON delta-seconds *(SEMI generic-param)
def least_of(message: SipMessage) -> int:
    """Return the value of Min-SE in seconds, `LEAST` if it is absent; raises SipParseError."""
    text = message.headers.get("Min-SE")
    return LEAST if text is None else _seconds(text.partition(";")[0], "Min-SE")


def too_small(request: SipRequest) -> bool:
    """Return whether an INVITE is to be refused by 422 (section 9); raises SipParseError.

    A peer that does not support timers would not understand the 422, and is not refused.
    """
    wanted = interval_of(request)
    least_of(request)
    return wanted is not None and wanted[0] < LEAST and supports_timers(request)


@dataclass
class SessionTimer:
    """The timer of one session; it starts again with each 2xx to an INVITE or re-INVITE. Times are in seconds."""

    interval: int
    """Session interval: the session expires this long after the last 2xx."""
    ours: bool
    """This side is the refresher."""
    told: bool
    """The peer supports timers too, so that our 2xx has `Require: timer`."""
    least: int
    """The greatest Min-SE of the dialog."""
    since: float
    """The time at which the last 2xx was sent or received."""
    refreshed: bool = False
    """A refresh was tried in this interval."""

    # RFC 4028 section 9, table 2: the refresher in our 2xx, from the INVITE.
    #
    #   Peer supports timers  Refresher in INVITE  Refresher in 2xx
    #   no                    none                 uas (this side)
    #   no                    uac                  not applicable (here uas)
    #   no                    uas                  not applicable (here uas)
    #   yes                   none                 uas or uac (here uac)
    #   yes                   uac                  uac
    #   yes                   uas                  uas

    @classmethod
    def as_answerer(cls, request: SipRequest, now: float) -> SessionTimer | None:
        """Make the timer that an INVITE of the peer asks for (section 9); raises SipParseError.

        None if it asks for none, or for an interval below 90 s from a peer that does not support timers. If the peer
        leaves the choice of the refresher to this side, the peer refreshes.
        """
        wanted = interval_of(request)
        if wanted is None or wanted[0] < LEAST:
            return None
        told = supports_timers(request)
        return cls(wanted[0], not told or wanted[1] == "uas", told, least_of(request), now)

    def answer_headers(self) -> list[tuple[str, str]]:
        """Return the headers of our 2xx for the timer: Session-Expires, and Require if the peer supports timers."""
        require = [("Require", TIMER)] if self.told else []
        return [*require, ("Session-Expires", f"{self.interval};refresher={'uas' if self.ours else 'uac'}")]

    def request_headers(self) -> list[tuple[str, str]]:
        """Return the headers of our re-INVITE for the timer (section 7.4); the refresher stays the same side."""
        least = [("Min-SE", str(self.least))] if self.least > LEAST else []
        interval = max(self.interval, self.least)
        return [("Session-Expires", f"{interval};refresher={'uac' if self.ours else 'uas'}"), *least]

    @classmethod
    def as_caller(cls, response: SipResponse, now: float, least: int = LEAST) -> SessionTimer | None:
        """Make the timer that a 2xx to our INVITE sets (section 7.2); None if it sets none. Raises SipParseError."""
        said = interval_of(response)
        if said is None:
            return None
        return cls(max(said[0], LEAST), said[1] != "uas", supports_timers(response), least, now)

    def answered(self, response: SipResponse, now: float) -> SessionTimer | None:
        """Return the timer after a 2xx to our re-INVITE; None if the 2xx turned it off. Raises SipParseError.

        If the 2xx has no Session-Expires, and this side refreshes for a peer without timers, the timer continues: a
        proxy on the path asked for it.
        """
        agreed = SessionTimer.as_caller(response, now, self.least)
        if agreed is None and self.ours and not self.told:
            return SessionTimer(max(self.interval, self.least), True, False, self.least, now)
        return agreed

    def refused(self, response: SipResponse) -> bool:
        """Handle a 422 to our refresh; returns True if its Min-SE is a larger interval to try. Raises SipParseError."""
        least = least_of(response)
        larger = least > max(self.interval, self.least)
        self.least = max(self.least, least)
        return larger

    def refresh_at(self) -> float:
        """Return the time of this side's refresh: half the interval; infinity if the peer refreshes or it was tried."""
        return self.since + self.interval / 2 if self.ours and not self.refreshed else math.inf

    def ends_at(self) -> float:
        """Return the time of the BYE that ends an unrefreshed session.

        It is the smaller of 32 s and a third of the interval before the session expires (section 10).
        """
        return self.since + self.interval - min(32, self.interval / 3)


def _seconds(text: str, name: str) -> int:
    if not _SECONDS.fullmatch(text.strip()):
        raise SipParseError(f"Bad {name}")
    return int(text)
