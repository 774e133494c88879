"""A message on its way into the store on disk: written to a file of its own, indexed as it comes."""

from __future__ import annotations

import os
import uuid
from datetime import datetime
from pathlib import Path

from lemonade_imap.mail.mime import Indexer, Part
from lemonade_imap.store.base import StoreError


class FileArrival:
    """An `Arrival` in a folder of arrivals; raises StoreError where the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / uuid.uuid4().hex
        self._indexer = Indexer()
        try:
            self._file = self.path.open("xb")
        except OSError as problem:
            raise StoreError(f"cannot keep a message: {problem.strerror}") from problem

    def write(self, chunk: bytes) -> None:
        """Take the next octets."""
        try:
            self._file.write(chunk)
        except OSError as problem:
            raise StoreError(f"cannot keep the message: {problem.strerror}") from problem
        self._indexer.feed(chunk)

    def finish(self, received: datetime) -> tuple[int, Part]:
        """Bring the octets to the disk and return their number and their index; raises OSError.

        The file's time of change becomes the INTERNALDATE: with it the index could be made anew.
        """
        with self._file as file:
            file.flush()
            size = file.tell()
            seconds = received.timestamp()
            os.utime(file.fileno(), (seconds, seconds))
            os.fsync(file.fileno())
        return size, self._indexer.close()

    def discard(self) -> None:
        """Remove the file, if it has not become a message's."""
        self._file.close()
        self.path.unlink(missing_ok=True)
