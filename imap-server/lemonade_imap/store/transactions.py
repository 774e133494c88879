"""Write transactions of the index: what belongs to one, what follows it, and how several share one commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lemonade_imap.store.base import StoreError
from lemonade_imap.store.files import sync_folder


class Transactions:
    """Transactions of one connection.

    Between `hold` and `release` those that succeed wait for each other: one commit, and one sync of each folder,
    serves them all. Until `release` has returned, none of them may be answered.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._after: list[Callable[[], None]] = []
        self._undo: list[Callable[[], None]] = []
        self._folders: set[Path] = set()
        self._inside = False
        self._held = False
        self._lost = False

    @contextmanager
    def write(self) -> Iterator[None]:
        """Run a write transaction: durable at its end, as if it had never been after an exception.

        Raises StoreError where the disk refuses. One inside another is a part of it.
        """
        if self._inside:
            yield
            return
        self._inside = True
        undo, after = len(self._undo), len(self._after)
        try:
            if not self._db.in_transaction:
                self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("SAVEPOINT piece")
            yield
            self._db.execute("RELEASE piece")
            if not self._held:
                self._commit()
        except BaseException as problem:
            self._undo_from(undo, after)
            if isinstance(problem, OSError | sqlite3.Error):
                raise _refusal(problem) from problem
            raise
        finally:
            self._inside = False

    def _undo_from(self, undo: int, after: int) -> None:
        if not self._held:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK TO piece")
            self._db.execute("RELEASE piece")
        else:
            # SQLite gave up the whole transaction, with the pieces that wait (a full disk does that)
            undo, after, self._lost = 0, 0, True
        for action in self._undo[undo:][::-1]:
            action()
        del self._undo[undo:], self._after[after:]

    def when_committed(self, action: Callable[[], None]) -> None:
        """Do something once the transaction under way is on the disk."""
        self._after.append(action)

    def when_rolled_back(self, action: Callable[[], None]) -> None:
        """Do something if the transaction under way is rolled back."""
        self._undo.append(action)

    def sync(self, folder: Path) -> None:
        """Have the names in a folder on the disk before the transaction is."""
        self._folders.add(folder)

    def hold(self) -> None:
        """Let transactions wait for `release`."""
        self._held = True

    @property
    def pending(self) -> bool:
        """Whether something waits for `release`."""
        return self._held and (self._lost or self._db.in_transaction)

    def release(self) -> None:
        """Commit what waits; raises StoreError where the disk refuses, and then none of it has happened."""
        self._held = False
        if self._lost:
            self._lost = False
            self._undo_from(0, 0)
            raise StoreError("the store cannot be changed: the disk refused what was to be written with it")
        try:
            self._commit()
        except (OSError, sqlite3.Error) as problem:
            self._undo_from(0, 0)
            raise _refusal(problem) from problem

    def _commit(self) -> None:
        if not self._db.in_transaction:
            return
        folders, self._folders = self._folders, set()
        for folder in folders:
            if folder.exists():
                sync_folder(folder)
        self._db.execute("COMMIT")
        after, self._after = self._after, []
        self._undo.clear()
        for action in after:
            # it is on the disk: what follows it is made good at the next start
            with suppress(OSError, StoreError):
                action()


def _refusal(problem: OSError | sqlite3.Error) -> StoreError:
    why = problem.strerror if isinstance(problem, OSError) else problem
    return StoreError(f"the store cannot be changed: {why}")
