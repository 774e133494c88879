"""Runs a process whose code fails with a secret in the exception's text."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lemonade_wire.testing.spellings import PASSWORD, TICKET, TOKEN, shown_forms

PROGRAM = """
import sys
from twisted.internet import reactor
from lemonade_wire.failures.endpoint import report_failures
from lemonade_wire.redaction import Redactor

redactor = Redactor("salt")
redactor.hide({password!r})
report_failures(redactor)

def broken():
    raise RuntimeError({secrets!r})

if {place!r} == "reactor":
    reactor.callLater(0, broken)
    reactor.callLater(0, reactor.stop)
    reactor.run()
else:
    broken()
"""


@pytest.mark.parametrize("place", ["reactor", "main"])
def test_a_traceback_shows_no_secret(place: str) -> None:
    program = PROGRAM.format(password=PASSWORD, secrets=f"url={TICKET} of {PASSWORD}", place=place)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert b"RuntimeError: url=imap://joe@imap.example.com/INBOX" in done.stderr
    assert b"in broken" in done.stderr
    assert shown_forms(done.stderr, TOKEN) == []
    assert shown_forms(done.stderr, PASSWORD) == []
