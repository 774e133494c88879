"""The IVR service of one call (RFC 5022 sections 6 and 7), sans-IO: requests, keys, media and time in, actions out.

| module | what it knows |
|---|---|
| `session.py` | which request runs, which wait, which keys nobody has used yet |
| `task.py` | a request: its prompt, then what the request is for; `<play>` is no more than that |
| `prompt.py` | a prompt: fetched, played, skipped in |
| `collect.py`, `record.py` | what `<playcollect>` and `<playrecord>` do besides |
| `digits.py` | digits as they are collected: count, patterns, timers |
| `leg.py` | key presses, held and double ones, and who wants to be told |

The phases of a request (`phase.py`), what they wait for, and where they lead:

| phase | waits for | then |
|---|---|---|
| FETCHING | `media_fetched`, `fetch_failed` | PLAYING; OVER where there is nothing to play or it failed |
| PLAYING | `playing_ended` | OVER |
| STOPPING | `playing_ended` or `recording_ended`, which was asked for | OVER, or the response |
| OVER | nothing: the prompt is over | COLLECTING, BEEPING, RECORDING, or the response |
| COLLECTING | keys, the timer | the response |
| BEEPING | `playing_ended` | RECORDING, or the response |
| RECORDING | `recording_ended`, keys | STOPPING, or the response |

A player says itself what it played and where it stands, and a recorder what it has, so that a response reports what
happened and not what was meant. Times are seconds for `now` and milliseconds in MSCML.
"""

from lemonade_media.ivr.phase import Phase
from lemonade_media.ivr.session import KEY_MS, IvrSession

__all__ = ["KEY_MS", "IvrSession", "Phase"]
