"""A recording's file: WAV with mu-law, what RFC 5022's `recencoding` is by default. It blocks: for a thread.

The file is whole or not there, also after a kill: it is written under another name in the same folder, and gets its own
when it is on the disk. What a kill leaves behind is `sweep`'s: who writes holds a lock, which ends with the process, so
that servers may share a folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import struct
import tempfile
from pathlib import Path
from typing import BinaryIO

_PREFIX, _SUFFIX = ".lemonade-", ".part"
_HEAD = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI")
_FORMAT = struct.Struct("<HHI")
_CHUNK = struct.Struct("<4sI")
_MU_LAW = 7
_RATE = 8000
_MAX_OCTETS = 0xFFFFFFFF - _HEAD.size


class RecordingFile:
    """The file of one recording. Every method may raise OSError; the file is then given up."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Begin; with `append` behind what `path` holds, if it is there: it must be mu-law of this rate, mono."""
        self._path = path
        descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=path.parent)
        self._part = Path(name)
        self._file: BinaryIO = os.fdopen(descriptor, "r+b")
        try:
            with contextlib.suppress(OSError):  # a disk without locks: nobody sweeps there
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
        """Add octets of mu-law."""
        try:
            self._file.write(octets)
        except OSError:
            self.discard()
            raise

    def finish(self, count: int) -> int:
        """Give the file its name, with the first `count` of the octets written; returns its size."""
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
        """Leave nothing."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def sweep(folder: Path) -> int:
    """Remove what killed servers left below a folder; returns how many files that were.

    A file that somebody writes, a link, and one with another name or owner stays.
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
    """Copy the sound of a WAV file; raises OSError where it is none that can be gone on with."""
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
    """The next octets of a file, to be read."""

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
