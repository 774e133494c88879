"""The key presses of a call leg, and the notifications of them that the client has subscribed to (RFC 5022 section 7).

| press | method of the notification |
|---|---|
| every press | `standard` |
| held for more than 1 s | `long` as well |
| the same key again within 2 s | `double` as well, if it is not long |
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lemonade_media.model.actions import Action, Notify
from lemonade_wire.mscml.messages import Command, ConfigureLeg, Keypress, KeypressSubscription, Method, MscmlResponse

LONG_MS = 1000
"""A key that is held for more than so many ms is a long one."""
DOUBLE_SECONDS = 2
"""A second press of the same key within so many seconds after the first makes one long digit of both."""
Doing = tuple[Command, float]
_NONE = KeypressSubscription("none")


@dataclass(frozen=True)
class KeyPress:
    """One press of a key. `long`: it was held for more than `LONG_MS`. `double`: it is the second of a double press."""

    key: str = field(repr=False)
    long: bool = False
    double: bool = False

    @property
    def methods(self) -> tuple[Method, ...]:
        """The methods of the notifications for this press: `standard`, and `long` or `double` for a long digit."""
        if self.long:
            return "standard", "long"
        return ("standard", "double") if self.double else ("standard",)


class Leg:
    """The key presses of a call, and the client's subscription to notifications of them. `now` is in seconds."""

    def __init__(self) -> None:
        self._subscription = _NONE
        self._down: tuple[KeyPress, float] | None = None  # the last press, and when it was
        self._told_at: float | None = None

    def configure(self, request: ConfigureLeg) -> MscmlResponse:
        """Carry out `<configure_leg>`: store the subscription to key presses. Attributes for conferences are ignored.

        Call progress tones are not detected: a request for reports of them changes nothing, and its response is 501.
        """
        if any(report for _, report in request.signals):
            return MscmlResponse("configure_leg", 501, "Not Implemented", request.id)
        if request.keypress is not None:
            self._subscription, self._told_at = request.keypress, None
        return MscmlResponse("configure_leg", id=request.id)

    def press(self, key: str, held_ms: float, now: float) -> KeyPress:
        """Return the press of a key with its kind, by the time that it was held and the press before."""
        before = self._down
        double = (
            before is not None
            and before[0].key == key
            and not before[0].double  # a third press is the first one of the next double press
            and now - before[1] <= DOUBLE_SECONDS
        )
        press = KeyPress(key, held_ms > LONG_MS, double)
        self._down = press, now
        return press

    def release(self, key: str, now: float) -> KeyPress | None:
        """Handle the release of a key; return its press if that turns out to be long, else None."""
        if self._down is None:
            return None
        press, began = self._down
        if press.key != key or press.long or (now - began) * 1000 <= LONG_MS:
            return None
        self._down = replace(press, long=True), began
        return self._down[0]

    def tell(self, press: KeyPress, methods: tuple[Method, ...], doing: Doing, now: float) -> list[Action]:
        """Return the notifications of a press for those of `methods` that are subscribed to.

        `doing` is the command that the leg carries out, for `<status>`, and the time when it began.
        """
        command, since = doing
        told: list[Action] = []
        for method in methods:
            if self._subscription.report in {"both", "standard" if method == "standard" else "long"}:
                since_ms = 0.0 if self._told_at is None else (now - self._told_at) * 1000
                told.append(Notify(Keypress(press.key, method, since_ms, command, (now - since) * 1000)))
                self._told_at = now
        return told
