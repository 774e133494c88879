"""Accounts of the data folder: a verifier for each name, never a password, in a file that only its owner reads."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from lemonade_imap.sasl.verifier import SALT_SIZE, ScramVerifier
from lemonade_imap.store.base import StoreError
from lemonade_imap.store.files import replace_file
from lemonade_wire.sasl.prep import PrepError, saslprep

_MECHANISM = "SCRAM-SHA-256"


class AccountMissing(StoreError):  # noqa: N818  says what happened
    """There is no such account."""


class AccountExists(StoreError):  # noqa: N818  the same
    """There is such an account already."""


class Accounts:
    """The accounts of one data folder. A server sees at once what `lemonade-imap user` changes while it runs.

    Every method raises StoreError where the file cannot be read or is none of accounts.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "accounts.json"
        self._read_at: tuple[int, int, int] | None = None
        self._known: Mapping[str, ScramVerifier] = {}

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(self._accounts())

    def find(self, name: str) -> ScramVerifier | None:
        """Return the account's verifier, or None."""
        return self._accounts().get(name)

    def add(self, name: str, password: str) -> None:
        """Make an account; raises AccountExists, or ValueError for a name or a password that cannot be one."""
        if name in self._accounts():
            raise AccountExists(f"there is an account {name!r} already")
        self._write({**self._accounts(), checked_name(name): _verifier(password)})

    def change(self, name: str, password: str) -> None:
        """Give an account another password; raises AccountMissing, or ValueError for what cannot be one."""
        self._require(name)
        self._write({**self._accounts(), name: _verifier(password)})

    def remove(self, name: str) -> None:
        """Remove an account, not its mailboxes; raises AccountMissing."""
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
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path, text.encode("utf-8"))
        except OSError as problem:
            raise StoreError(f"{self._path}: {problem.strerror}") from problem


def checked_name(name: str) -> str:
    """Return a name that an account may have; raises ValueError."""
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError("an account's name is printable and has no blanks around it")
    if name.lower() == "anonymous":
        raise ValueError("anonymous is no account: who logs in so has no mailboxes")
    return name


def _verifier(password: str) -> ScramVerifier:
    try:
        if not saslprep(password, stored=True):
            raise ValueError("an empty password is none")
        return ScramVerifier.make(password, secrets.token_bytes(SALT_SIZE))
    except PrepError as problem:
        raise ValueError(f"the password cannot be one: {problem}") from problem


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
