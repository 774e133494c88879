"""Files as the store needs them: brought to the disk, replaced in one piece, one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lemonade_imap.store.base import CHUNK, StoreBusy


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, octets: bytes) -> None:
    """Write a file that is there whole or as it was before, for its owner's eyes alone; raises OSError."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    sync_folder(path.parent)


def link_or_copy(old: Path, new: Path) -> None:
    """Give a file a second name, or, where the file system allows no more of them, copy it; raises OSError."""
    try:
        os.link(old, new)
    except OSError as problem:
        if problem.errno not in {errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP}:
            raise
        shutil.copy2(old, new)
        with new.open("rb") as file:
            os.fsync(file.fileno())


def lock_file(path: Path) -> IO[bytes]:
    """Take a lock that ends with this process; raises StoreBusy where another has it, and OSError."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreBusy(f"data folder {path.parent} is in use by another server") from None
    return file


def chunks_of(file: IO[bytes], offset: int, length: int) -> Iterator[bytes]:
    """Yield `length` octets from `offset` in chunks, then close the file."""
    with file:
        file.seek(offset)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk
