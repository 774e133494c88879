"""Recordings on the disk: the file that the URL (`recurl`) names, and its octets (RFC 5022 sections 6.5.2 and 13).

A file exists only when it is complete, also if the server is killed: it is written under a temporary name in the same
folder, and renamed when it is on the disk. `sweep` removes the temporary files of killed servers. A server that writes
a file holds a lock on it, which ends with the process, so that several servers can share a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import struct
import tempfile
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from lemonade_wire.mscml.messages import PlayRecordRequest

MAX_DEPTH = 8
"""The largest number of names in the path of a recording."""
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# file-url = "file:" ( "//" [ "localhost" ] path / path ), with a path that begins with "/" (RFC 8089 section 2).
# In `file:///x` the file is on this machine. `file:////host/x` names a file of another host that is mounted here.
_FILE_URL = re.compile(r"file:(?://(?:localhost)?/|/(?!/))/*(?P<path>[^/].*)", re.IGNORECASE | re.DOTALL)
_PREFIX, _SUFFIX = ".lemonade-", ".part"
# The head of a WAV file with mu-law, all numbers little-endian:
#   RIFF chunk: "RIFF", size, "WAVE"
#   fmt chunk:  "fmt ", 18, format tag 7 (mu-law), channels, samples/s, octets/s, octets/sample, bits/sample, 0
#   fact chunk: "fact", 4, samples
#   data chunk: "data", octets; the sound follows, with one more octet if its length is odd
_HEAD = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI")
_FORMAT = struct.Struct("<HHI")
_CHUNK = struct.Struct("<4sI")
_MU_LAW = 7
_RATE = 8000
_MAX_OCTETS = 0xFFFFFFFF - _HEAD.size


class RecordingRefusedError(Exception):
    """A recording is refused, with this code and text of the MSCML response."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


def recording_path(folder: Path | None, request: PlayRecordRequest) -> Path:
    """Return the path of a recording's file; raises RecordingRefusedError.

    The URL's path is relative to `folder`: `file:///rec/a.wav` is the file `rec/a.wav` in it. Each name in the path has
    letters, digits, `.`, `-` and `_`, and does not begin with `.` or `-`. Subfolders are made by the administrator, and
    not by the server. The file is WAV with mu-law.

    Codes of the refusal: 400 for a URL that is no `file:` URL, 403 for a path that is not allowed or if `folder` is
    None, 415 for another encoding or suffix.
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


class RecordingFile:
    """The file of one recording. Every method may raise OSError; the temporary file is then removed."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Create the temporary file; with `append` copy the sound of the file `path` to its start, if that exists.

        A file to append to must be a WAV file with mu-law, 8,000 Hz, one channel.
        """
        self._path = path
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=path.parent)
        self._part = Path(name)
        self._file: BinaryIO = os.fdopen(descriptor, "r+b")
        try:
            with contextlib.suppress(OSError):  # on a file system without locks, `sweep` removes nothing either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(descriptor).st_nlink:
                raise OSError("swept away between its making and its lock")
            self._file.seek(_HEAD.size)
            if append and path.exists():
                _copy_sound(path, self._file)
            self._before = self._file.tell() - _HEAD.size
        except OSError:
            self.discard()
            raise

    def write(self, octets: bytes) -> None:
        """Append octets of mu-law."""
        try:
            self._file.write(octets)
        except OSError:
            self.discard()
            raise

    def finish(self, count: int) -> int:
        """Complete the file with the first `count` octets written, rename it to `path`; returns its size in octets."""
        sound = self._before + count
        try:
            if sound > _MAX_OCTETS:
                raise OSError(f"{sound} octets are too many for a WAV file")
            self._file.truncate(_HEAD.size + sound)
            self._file.seek(_HEAD.size + sound)
            self._file.write(bytes(sound % 2))
            self._file.seek(0)
            self._file.write(_head(sound))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self._path)
            _sync(self._path.parent)
        except OSError:
            self.discard()
            raise
        return self._path.stat().st_size

    def discard(self) -> None:
        """Close and remove the temporary file; a file with the name `path` stays as it is."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def sweep(folder: Path) -> int:
    """Remove the temporary files of killed servers below a folder; returns their number.

    A file that a server is writing, a symbolic link, and a file with another kind of name or another owner stay.
    """
    swept = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.startswith(_PREFIX) and name.endswith(_SUFFIX):
                swept += _removed(Path(parent, name))
    return swept


def _removed(path: Path) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                return True
        finally:
            os.close(descriptor)
    return False


def _head(sound: int) -> bytes:
    return _HEAD.pack(
        *(b"RIFF", _HEAD.size - 8 + sound + sound % 2, b"WAVE"),
        *(b"fmt ", 18, _MU_LAW, 1, _RATE, _RATE, 1, 8, 0),
        *(b"fact", 4, sound),
        *(b"data", sound),
    )


def _copy_sound(path: Path, to: BinaryIO) -> None:
    """Copy the sound of a WAV file; raises OSError if the file is not WAV with mu-law, 8,000 Hz, one channel.

    A WAV file is `"RIFF" size "WAVE" *chunk`; a chunk is `name size octets`, with one more octet if its size is odd.
    """
    with path.open("rb") as file:
        fits = False
        if file.read(4) != b"RIFF" or not file.read(4) or file.read(4) != b"WAVE":
            raise OSError(f"{path.name} is no WAV file")
        while len(head := file.read(_CHUNK.size)) == _CHUNK.size:
            name, size = _CHUNK.unpack(head)
            if name == b"data" and fits:
                shutil.copyfileobj(_Part(file, size), to)
                return
            chunk = file.read(size + size % 2)
            if name == b"fmt " and len(chunk) >= _FORMAT.size:
                fits = _FORMAT.unpack_from(chunk) == (_MU_LAW, 1, _RATE)
    raise OSError(f"{path.name} does not hold mu-law, {_RATE} Hz, mono")


class _Part:
    """A reader for the next `left` octets of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        octets = self._file.read(min(self._left, size) if size >= 0 else self._left)
        self._left -= len(octets)
        return octets


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
