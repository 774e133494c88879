"""The accounts of the data folder with the keys of their passwords, and the folder's random secret.

The file maps each name to a SCRAM verifier (RFC 5802, 3); it contains no password.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from lemonade_imap.sasl import SALT_SIZE, ScramVerifier
from lemonade_imap.store.base import StoreError
from lemonade_imap.store.mailbox_files import make_folder, replace_file
from lemonade_wire.sasl import MAX_PREPARED, PrepError, is_too_long, saslprep

SIZE = 32
_MECHANISM = "SCRAM-SHA-256"


def kept_secret(folder: Path) -> bytes:
    """Return the folder's secret, 32 octets; make it if there is none. Raises StoreError."""
    path = folder / "secret"
    try:
        try:
            kept = path.read_bytes()
        except FileNotFoundError:
            kept = secrets.token_bytes(SIZE)
            replace_file(path, kept)
    except OSError as problem:
        raise StoreError(f"{path}: {problem.strerror}") from problem
    if len(kept) != SIZE:
        raise StoreError(f"{path} has {len(kept)} octets instead of {SIZE}: without it a new one is made")
    return kept


class AccountMissing(StoreError):  # noqa: N818  says what happened
    """The named account does not exist."""


class AccountExists(StoreError):  # noqa: N818  the same
    """An account with this name exists already."""


class Accounts:
    """The accounts of one data folder.

    Each call reads the file again if it has changed, so that a running server uses what `lemonade-imap user` changed.
    Every method raises StoreError if the file cannot be read or does not contain accounts.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "accounts.json"
        self._read_at: tuple[int, int, int] | None = None
        self._known: Mapping[str, ScramVerifier] = {}

    def names(self) -> list[str]:
        """Return the names of all accounts, sorted."""
        return sorted(self._accounts())

    def find(self, name: str) -> ScramVerifier | None:
        """Return the account's verifier, or None if there is no such account."""
        return self._accounts().get(name)

    def add(self, name: str, password: str) -> None:
        """Make an account; raises AccountExists, or ValueError for a name or a password that is not allowed."""
        if name in self._accounts():
            raise AccountExists(f"there is an account {name!r} already")
        self._write({**self._accounts(), checked_name(name): _verifier(password)})

    def change(self, name: str, password: str) -> None:
        """Give an account another password; raises AccountMissing, or ValueError for a password that is not allowed."""
        self._require(name)
        self._write({**self._accounts(), name: _verifier(password)})

    def remove(self, name: str) -> None:
        """Remove an account but not its mailboxes; raises AccountMissing."""
        self._require(name)
        self._write({known: verifier for known, verifier in self._accounts().items() if known != name})

    def _require(self, name: str) -> None:
        if name not in self._accounts():
            raise AccountMissing(f"there is no account {name!r}")

    def _accounts(self) -> Mapping[str, ScramVerifier]:
        try:
            state = self._path.stat()
            stamp = (state.st_ino, state.st_mtime_ns, state.st_size)
            if stamp != self._read_at:
                kept = json.loads(self._path.read_bytes())
                self._known = {name: _from_json(fields) for name, fields in kept.items()}
                self._read_at = stamp
        except FileNotFoundError:
            self._known, self._read_at = {}, None
        except OSError as problem:
            raise StoreError(f"{self._path}: {problem.strerror}") from problem
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as problem:
            raise StoreError(f"{self._path} is no file of accounts: {problem}") from problem
        return self._known

    def _write(self, accounts: Mapping[str, ScramVerifier]) -> None:
        text = json.dumps({name: _to_json(verifier) for name, verifier in sorted(accounts.items())}, indent=1)
        try:
            if not self._path.parent.exists():
                make_folder(self._path.parent)
            replace_file(self._path, text.encode("utf-8"))
        except OSError as problem:
            raise StoreError(f"{self._path}: {problem.strerror}") from problem


def checked_name(name: str) -> str:
    """Return the name unchanged if an account may have it; raises ValueError otherwise."""
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError("an account's name is printable and has no blanks around it")
    if is_too_long(name):
        raise ValueError(f"an account's name has at most {MAX_PREPARED} octets")
    if name.lower() == "anonymous":
        raise ValueError("anonymous cannot be an account: an anonymous session has no mailboxes")
    return name


def _verifier(password: str) -> ScramVerifier:
    try:
        if not saslprep(password, stored=True):
            raise ValueError("a password must not be empty")
        return ScramVerifier.make(password, secrets.token_bytes(SALT_SIZE))
    except PrepError as problem:
        raise ValueError(f"the password is not valid: {problem}") from problem


def _to_json(verifier: ScramVerifier) -> dict[str, str | int]:
    return {
        "mechanism": _MECHANISM,
        "iterations": verifier.iterations,
        "salt": base64.b64encode(verifier.salt).decode("ascii"),
        "stored_key": base64.b64encode(verifier.stored_key).decode("ascii"),
        "server_key": base64.b64encode(verifier.server_key).decode("ascii"),
    }


def _from_json(fields: Mapping[str, str]) -> ScramVerifier:
    if fields["mechanism"] != _MECHANISM:
        raise ValueError(f"unknown mechanism {fields['mechanism']!r}")
    salt, stored, server = (
        base64.b64decode(fields[name], validate=True) for name in ("salt", "stored_key", "server_key")
    )
    return ScramVerifier(salt, int(fields["iterations"]), stored, server)
