"""The IVR service of one call (RFC 5022 sections 6 and 7), without I/O.

It takes MSCML requests, key presses, the results of fetches, playings and recordings, and the time; it returns actions.

| module | content |
|---|---|
| `session.py` | the requests of a call: the running one, the waiting ones, and the keys that no request has used yet |
| `task.py` | a running request: its prompt, then the rest of the request; `<play>` has a prompt only |
| `prompt.py` | the prompt of a request: fetch, play, skip |
| `collect.py`, `record.py` | the rest of `<playcollect>` and of `<playrecord>` after the prompt |
| `digits.py` | the collection of digits: count, patterns, timers |
| `leg.py` | key presses, long and double ones, and the notifications of them |

The phases of a request (`phase.py`), the events that they wait for, and the next phases:

| phase | waits for | next |
|---|---|---|
| FETCHING | `media_fetched`, `fetch_failed` | PLAYING; OVER if there is nothing to play or the fetch failed |
| PLAYING | `playing_ended` | OVER |
| STOPPING | `playing_ended` or `recording_ended` after a stop | OVER, or the response |
| OVER | nothing: the prompt is over | COLLECTING, BEEPING, RECORDING, or the response |
| COLLECTING | keys, the timer | the response |
| BEEPING | `playing_ended` | RECORDING, or the response |
| RECORDING | `recording_ended`, keys | STOPPING, or the response |

The player reports the duration that it played and the offset at which it stopped, and the recorder its length. A
response has these values, not those that the request asked for. `now` is in seconds; times of MSCML are in
milliseconds.
"""

from lemonade_media.services.ivr.prompt import Phase
from lemonade_media.services.ivr.session import KEY_MS, IvrSession

__all__ = ["KEY_MS", "IvrSession", "Phase"]
