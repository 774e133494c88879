"""`lemonade-imap user`: the accounts of a data folder. No password ever stands on a command line."""

from __future__ import annotations

import argparse
import getpass
import sys

from lemonade_imap.store.accounts import Accounts


def add(options: argparse.Namespace) -> int:
    """Make an account."""
    Accounts(options.data).add(options.user, _password(options.user))
    return 0


def passwd(options: argparse.Namespace) -> int:
    """Change a password."""
    Accounts(options.data).change(options.user, _password(options.user))
    return 0


def remove(options: argparse.Namespace) -> int:
    """Remove an account."""
    Accounts(options.data).remove(options.user)
    return 0


def list_names(options: argparse.Namespace) -> int:
    """List the accounts, one on a line."""
    sys.stdout.writelines(f"{name}\n" for name in Accounts(options.data).names())
    return 0


def _password(user: str) -> str:
    """Ask twice at a terminal; elsewhere take the first line of standard input. Raises ValueError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password of {user}: ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("the two passwords are not the same")
    return password
