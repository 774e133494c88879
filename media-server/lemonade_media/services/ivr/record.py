"""The request `<playrecord>`: a prompt, a beep, then a recording of the caller (RFC 5022 section 6.5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lemonade_media.model.actions import Action, PlayBeep, RecordingEnd, StartRecording, StopPlaying, StopRecording
from lemonade_media.recording.file import RecordingRefusedError, recording_path
from lemonade_media.services.ivr.leg import KeyPress
from lemonade_media.services.ivr.prompt import Phase
from lemonade_media.services.ivr.task import Buffer, Task
from lemonade_wire.mscml.messages import MscmlResponse, PlayRecordRequest

_REASONS: dict[RecordingEnd, str] = {
    "limit": "max_duration",
    "first-silence": "init_silence",
    "last-silence": "end_silence",
    "stopped": "stopped",
    "error": "error",
}


class RecordTask(Task):
    """A running `<playrecord>`; `folder` is the folder of recordings (None: recording is refused).

    The escape key ends the recording as well, with the reason `escapekey`. The file is kept, since section 6.5.2 leaves
    it to the client whether to keep it.
    """

    def __init__(self, request: PlayRecordRequest, buffer: Buffer, folder: Path | None) -> None:
        super().__init__(request, buffer)
        self._asked = request
        self._folder = folder
        self._path = Path()
        self._phase: Phase | None = None  # the phase after the prompt
        self._digits = ""
        self._recorded_ms = 0.0
        self._octets = 0

    @property
    def phase(self) -> Phase:
        """The phase of the request."""
        return self._phase or super().phase

    def begin(self, now: float) -> list[Action]:
        """Start the prompt if the recording is allowed; if keys were typed ahead, skip the prompt."""
        try:
            self._path = recording_path(self._folder, self._asked)
        except RecordingRefusedError as refusal:
            self.response = replace(self._report(None), code=refusal.code, text=refusal.text)
            return []
        ahead = [] if self._asked.clear_digits or not self._asked.barge else list(self._buffer)
        self._buffer.clear()  # keys that were typed ahead must not end the recording
        if not ahead:
            return super().begin(now)
        if ahead[0].key == self._asked.escape_key:
            return self.finish("escapekey", now)
        self._keep(*ahead)
        return self._prompted([], now)

    def key(self, press: KeyPress, now: float) -> list[Action]:
        """Handle a key: the escape key ends the request, one of `stop_keys` the recording, any other key the prompt."""
        if press.key == self._asked.escape_key:
            if self._phase is Phase.RECORDING:
                self._digits += press.key
            return self.finish("escapekey", now)
        if self._phase is Phase.RECORDING and press.key in self._asked.stop_keys:
            self._digits += press.key
            return self.finish("digit", now)
        if self._phase is not None:
            return []
        self._keep(press)
        return self._prompted(self._prompt.leave(), now) if self._asked.barge else []

    def finish(self, reason: str, now: float) -> list[Action]:
        """End the request for this reason: at once, or when the player or recorder has reported its end."""
        if self._phase not in {Phase.BEEPING, Phase.RECORDING}:
            return super().finish(reason, now)
        stop: Action = StopPlaying() if self._phase is Phase.BEEPING else StopRecording()
        self._reason, self._phase = reason, Phase.STOPPING
        return [stop]

    def playing_ended(self, played_ms: float, offset_ms: float, now: float) -> list[Action]:
        """Handle that the playing ended: that of the prompt, or that of the beep after it."""
        if not self._after:
            return super().playing_ended(played_ms, offset_ms, now)
        if self._phase is Phase.STOPPING:
            self.response = self._report(self._reason)
            return []
        return self._record() if self._phase is Phase.BEEPING else []

    def recording_ended(self, recorded_ms: float, octets: int, why: RecordingEnd, now: float) -> list[Action]:
        """Handle that the recording ended: set the response with its length in ms and its size in octets."""
        if self._phase not in {Phase.RECORDING, Phase.STOPPING}:
            return []
        self._recorded_ms, self._octets = recorded_ms, octets
        reason = self._reason if self._reason and why != "error" else _REASONS[why]
        self.response = self._report(reason)
        if why == "error":
            self.response = replace(self.response, code=500, text="Server Error")
        return []

    def close(self) -> list[Action]:
        """Handle the end of the call: return the action that stops the playing or the recording."""
        if self._phase is Phase.BEEPING:
            return [StopPlaying()]
        return [StopRecording()] if self._phase is Phase.RECORDING else super().close()

    def _after_prompt(self, now: float) -> list[Action]:
        for at_once, reason in ((self._asked.limit_ms, "max_duration"), (self._asked.first_silence_ms, "init_silence")):
            if at_once <= 0:
                return self.finish(reason, now)
        if not self._asked.beep:
            return self._record()
        self._phase = Phase.BEEPING
        return [PlayBeep()]

    def _record(self) -> list[Action]:
        asked, self._phase = self._asked, Phase.RECORDING
        return [
            StartRecording(
                self._path,
                asked.append,
                _finite(asked.limit_ms),
                _finite(asked.first_silence_ms),
                _finite(asked.last_silence_ms),
            )
        ]

    def _keep(self, *presses: KeyPress) -> None:
        """Keep digits pressed during the prompt for the response, except those that end recordings (section 6.5.2)."""
        self._digits += "".join(press.key for press in presses if press.key not in self._asked.stop_keys)

    def _report(self, reason: str | None) -> MscmlResponse:
        return replace(
            super()._report(reason),
            digits=self._digits,
            record_octets=self._octets,
            record_duration_ms=self._recorded_ms,
        )


def _finite(ms: float) -> float | None:
    return None if ms == float("inf") else ms
