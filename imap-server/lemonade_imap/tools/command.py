"""The commands of the administrator: `lemonade-imap user`, `fsck`, and the import and export of mail folders.

Passwords are read from the terminal or from standard input, never from the command line, which other users may see.

Exit codes: 0 success; 1 failure, with the reason on standard error; 2 invalid command line or value. Of `fsck` also
3: errors were found and repaired; 4: errors were found and not repaired.
"""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lemonade_imap.store.accounts import Accounts
from lemonade_imap.store.base import StoreError
from lemonade_imap.store.rebuild import StoreCheck
from lemonade_imap.tools import maildir

EXIT_REPAIRED = 3
EXIT_LEFT = 4
EXIT_FAILED = 1
EXIT_USAGE = 2
Work = Callable[[argparse.Namespace], int]
COMMANDS = ("export", "fsck", "import", "user")


def fsck(options: argparse.Namespace) -> int:
    """Check the folder, repair it unless `--check` is given, and print the findings; returns the exit code.

    Raises StoreBusy if a server uses the folder, or StoreError.
    """

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")

    check = StoreCheck(options.data, repairs=not options.check, now=time.time(), say=say)
    check.run()
    if not check.found:
        say("nothing is wrong")
        return 0
    say(f"{check.found} findings, {'not repaired' if options.check else 'repaired as far as possible'}")
    return EXIT_LEFT if options.check else EXIT_REPAIRED


def add(options: argparse.Namespace) -> int:
    """Make an account; raises StoreError or ValueError."""
    Accounts(options.data).add(options.user, _password(options.user))
    return 0


def passwd(options: argparse.Namespace) -> int:
    """Change the password of an account; raises StoreError or ValueError."""
    Accounts(options.data).change(options.user, _password(options.user))
    return 0


def remove(options: argparse.Namespace) -> int:
    """Remove an account but not its mailboxes; raises StoreError."""
    Accounts(options.data).remove(options.user)
    return 0


def list_names(options: argparse.Namespace) -> int:
    """Print the names of the accounts, one in each line; raises StoreError."""
    sys.stdout.writelines(f"{name}\n" for name in Accounts(options.data).names())
    return 0


def _password(user: str) -> str:
    """Return a password: asked twice at a terminal, else the first line of standard input.

    Raises ValueError if the two answers differ.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"Password of {user}: ")
    if getpass.getpass("Again: ") != password:
        raise ValueError("the two passwords are not the same")
    return password


def parser() -> argparse.ArgumentParser:
    """Return the parser of all sub-commands."""
    made = argparse.ArgumentParser("lemonade-imap", allow_abbrev=False)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    user = commands.add_parser("user", help="accounts of a data folder").add_subparsers(required=True)
    for name, work, text in (
        ("add", add, "make an account; its password is read from the terminal or from standard input"),
        ("passwd", passwd, "give an account another password, read likewise"),
        ("remove", remove, "remove an account; its mailboxes stay"),
    ):
        command = _command(user, name, work, text)
        command.add_argument("user", metavar="NAME")
    _command(user, "list", list_names, "list the accounts")
    check = _command(commands, "fsck", fsck, "check the index against the message files, and repair it")
    check.add_argument("--check", action="store_true", help="change nothing, only say what is wrong")
    for name, work, text in (
        ("import", maildir.import_maildir, "append the messages of a Maildir to a user's mailboxes"),
        ("export", maildir.export_maildir, "write a user's mailboxes into a Maildir"),
    ):
        kinds = commands.add_parser(name, help=text).add_subparsers(required=True, metavar="FORMAT")
        command = _command(kinds, "maildir", work, text)
        command.add_argument("folder", type=Path, metavar="MAILDIR", help="the Maildir, with its Maildir++ folders")
        command.add_argument("--user", required=True, metavar="NAME", help="whose mailboxes")
        command.add_argument("--mailbox", default="INBOX", metavar="NAME", help="what the Maildir itself is: INBOX")
    return made


def _command(
    among: argparse._SubParsersAction[argparse.ArgumentParser], name: str, work: Work, text: str
) -> argparse.ArgumentParser:
    command = among.add_parser(name, help=text, description=text, allow_abbrev=False)
    command.add_argument("--data", required=True, type=Path, metavar="DIR", help="the data folder")
    command.set_defaults(work=work)
    return command


def run(argv: Sequence[str]) -> int:
    """Carry out a sub-command and return the exit code."""
    options = parser().parse_args(argv)
    work: Work = options.work
    try:
        return work(options)
    except StoreError as problem:
        sys.stderr.write(f"lemonade-imap: {problem}\n")
        return EXIT_FAILED
    except ValueError as problem:
        sys.stderr.write(f"lemonade-imap: {problem}\n")
        return EXIT_USAGE
