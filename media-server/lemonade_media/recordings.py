"""Where a recording goes: from `recurl` to a file below the configured folder (RFC 5022 sections 6.5.2 and 13)."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from lemonade_wire.mscml.request import PlayRecord

MAX_DEPTH = 8
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# `file:///x` is a file of this machine, `file:////host/x` one of another's that is mounted here.
_FILE_URL = re.compile(r"file:(?://(?:localhost)?/|/(?!/))/*(?P<path>[^/].*)", re.IGNORECASE | re.DOTALL)


class RecordingRefusedError(Exception):
    """A recording is not made: code and text of the MSCML response."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


def recording_path(folder: Path | None, request: PlayRecord) -> Path:
    """Return the file of a recording; raises RecordingRefusedError.

    The URL's path is one below the folder, whatever this machine's folders are: `file:///rec/a.wav` is `rec/a.wav`
    there. Each name of it is made of letters, digits, `.`, `-` and `_`, and does not begin with a dot or a minus.
    Folders are made by the administrator. What is written is WAV with mu-law: other names and encodings are refused.
    """
    found = _FILE_URL.fullmatch(request.record_url)
    if found is None:
        raise RecordingRefusedError(400, "Bad Request")
    if folder is None:
        raise RecordingRefusedError(403, "Forbidden")
    names = [name for name in unquote(found["path"]).split("/") if name]
    if not 0 < len(names) <= MAX_DEPTH or not all(_SAFE.fullmatch(name) for name in names):
        raise RecordingRefusedError(403, "Forbidden")
    path = folder.joinpath(*names)
    if request.encoding not in {None, "ulaw"} or path.suffix.lower() not in {"", ".wav"}:
        raise RecordingRefusedError(415, "Unsupported Media")
    return path
