"""The sub-commands of `lemonade-imap`: their options, and what their exit codes mean.

0: done. 1: it could not be done, the reason is said. 2: the command line is wrong. Of `fsck`, 3: something was wrong
and has been put right; 4: something is wrong, and was left so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from lemonade_imap.store.base import StoreError
from lemonade_imap.tools import fsck, maildir, users

EXIT_FAILED = 1
EXIT_USAGE = 2
Work = Callable[[argparse.Namespace], int]


def parser() -> argparse.ArgumentParser:
    """Return the parser of all sub-commands."""
    made = argparse.ArgumentParser("lemonade-imap", allow_abbrev=False)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    user = commands.add_parser("user", help="accounts of a data folder").add_subparsers(required=True)
    for name, work, text in (
        ("add", users.add, "make an account; its password is read from the terminal or from standard input"),
        ("passwd", users.passwd, "give an account another password, read likewise"),
        ("remove", users.remove, "remove an account; its mailboxes stay"),
    ):
        command = _command(user, name, work, text)
        command.add_argument("user", metavar="NAME")
    _command(user, "list", users.list_names, "list the accounts")
    check = _command(commands, "fsck", fsck.fsck, "check the index against the message files, and repair it")
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


COMMANDS = ("export", "fsck", "import", "user")


def run(argv: Sequence[str]) -> int:
    """Carry a sub-command out and return the exit code."""
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
