"""Write transactions of the SQLite index, with actions after commit or rollback, and commits shared by several."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lemonade_imap.store.base import StoreError
from lemonade_imap.store.mailbox_files import sync_folder


class Transactions:
    """The write transactions of one SQLite connection.

    Transactions between `hold` and `release` are savepoints of a single SQLite transaction: `release` commits them all
    at once and syncs each folder once. None of their calls may be answered before `release` has returned.
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
        """Run a write transaction: its changes are durable at its end; after an exception none of them was made.

        Between `hold` and `release` they become durable at `release`. A transaction inside another is a part of it.
        Raises StoreError if the disk cannot be written.
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
            # SQLite has rolled back the whole transaction, with the savepoints that wait; a full disk causes this.
            undo, after, self._lost = 0, 0, True
        for action in self._undo[undo:][::-1]:
            action()
        del self._undo[undo:], self._after[after:]

    def when_committed(self, action: Callable[[], None]) -> None:
        """Call `action` after the present transaction is on the disk."""
        self._after.append(action)

    def when_rolled_back(self, action: Callable[[], None]) -> None:
        """Call `action` if the present transaction is rolled back."""
        self._undo.append(action)

    def sync(self, folder: Path) -> None:
        """Sync a folder to the disk before the present transaction is committed."""
        self._folders.add(folder)

    def hold(self) -> None:
        """Delay the commits of transactions until `release`."""
        self._held = True

    @property
    def pending(self) -> bool:
        """Whether a transaction waits for `release`."""
        return self._held and (self._lost or self._db.in_transaction)

    def release(self) -> None:
        """Commit the transactions that wait; if the disk cannot be written, undo them all and raise StoreError."""
        self._held = False
        if self._lost:
            self._lost = False
            self._undo_from(0, 0)
            raise StoreError("the store cannot be changed: a change that waited with this one could not be written")
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
            # The change is on the disk; if an action fails, the next start of the store repairs its effect.
            with suppress(OSError, StoreError):
                action()


def _refusal(problem: OSError | sqlite3.Error) -> StoreError:
    why = problem.strerror if isinstance(problem, OSError) else problem
    return StoreError(f"the store cannot be changed: {why}")
