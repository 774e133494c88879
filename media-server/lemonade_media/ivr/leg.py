"""Key presses as a leg sees them, and the notifications it asked for (RFC 5022 section 7)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lemonade_media.service import Action, Notify
from lemonade_wire.mscml.request import ConfigureLeg, KeypressSubscription
from lemonade_wire.mscml.response import Command, Keypress, Method, Response

LONG_MS = 1000
"""A key that is held for more than this is a long one."""
DOUBLE_SECONDS = 2
"""So soon after the first, a second press of a key makes one long digit of both."""
Doing = tuple[Command, float]
_NONE = KeypressSubscription("none")


@dataclass(frozen=True)
class Press:
    """One press of a key. `long`: it was held; `double`: it makes a long one of itself and the press before."""

    key: str = field(repr=False)
    long: bool = False
    double: bool = False

    @property
    def methods(self) -> tuple[Method, ...]:
        """Each press is a standard event, and one more where it makes a long digit."""
        if self.long:
            return "standard", "long"
        return ("standard", "double") if self.double else ("standard",)


class Leg:
    """The keypad of a call, and who wants to be told of it. `now` is in seconds."""

    def __init__(self) -> None:
        self._subscription = _NONE
        self._down: tuple[Press, float] | None = None  # the last press, and when it was
        self._told_at: float | None = None

    def configure(self, request: ConfigureLeg) -> Response:
        """Take a subscription; what it says of conferences is no matter of this service.

        Call progress tones are not detected: a request to tell them changes nothing and is answered 501.
        """
        if any(report for _, report in request.signals):
            return Response("configure_leg", 501, "Not Implemented", request.id)
        if request.keypress is not None:
            self._subscription, self._told_at = request.keypress, None
        return Response("configure_leg", id=request.id)

    def press(self, key: str, held_ms: float, now: float) -> Press:
        """Tell what a press is, by how long it was held and what was pressed before."""
        before = self._down
        double = (
            before is not None
            and before[0].key == key
            and not before[0].double  # a third press begins anew
            and now - before[1] <= DOUBLE_SECONDS
        )
        press = Press(key, held_ms > LONG_MS, double)
        self._down = press, now
        return press

    def release(self, key: str, now: float) -> Press | None:
        """Return the press that was long, as its end shows; None where it was not, or was known to be."""
        if self._down is None:
            return None
        press, began = self._down
        if press.key != key or press.long or (now - began) * 1000 <= LONG_MS:
            return None
        self._down = replace(press, long=True), began
        return self._down[0]

    def tell(self, press: Press, methods: tuple[Method, ...], doing: Doing, now: float) -> list[Action]:
        """Tell events of a press to who asked for them; `doing` is what the leg does, and since when."""
        command, since = doing
        told: list[Action] = []
        for method in methods:
            if self._subscription.report in {"both", "standard" if method == "standard" else "long"}:
                since_ms = 0.0 if self._told_at is None else (now - self._told_at) * 1000
                told.append(Notify(Keypress(press.key, method, since_ms, command, (now - since) * 1000)))
                self._told_at = now
        return told
