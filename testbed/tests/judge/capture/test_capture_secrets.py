"""Tickets and passwords in a capture: a ticket can be followed through the run, and no report shows a secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lemonade_testbed.capture.store import CAPTURE, CAPTURE_NG, READ, load_run
from lemonade_testbed.clauses import load_clauses
from lemonade_testbed.evidence import EvidenceError
from lemonade_testbed.judge import judge
from lemonade_testbed.verdict import Outcome, Place
from lemonade_wire.redaction import Redactor

if TYPE_CHECKING:
    from tests.judge.capture.conftest import Captured

pytestmark = pytest.mark.usefixtures("tshark")

FETCHED = Place("check", "url fetched is url played")


def test_secrets_stay_in_the_secret_folder(announcement: Captured) -> None:
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    announcement.judged("both")
    holders = {
        path.relative_to(announcement.folder)
        for path in announcement.folder.rglob("*")
        if path.is_file()
        and (announcement.token.encode() in path.read_bytes() or announcement.password.encode() in path.read_bytes())
    }
    assert holders == {CAPTURE, CAPTURE_NG}
    assert os.stat(announcement.folder / CAPTURE_NG).st_mode & 0o777 == 0o600
    assert announcement.fingerprint in (announcement.folder / READ).read_text()


def test_a_run_is_judged_again_without_its_secrets_and_without_tshark(announcement: Captured) -> None:
    announcement.write()
    first = announcement.judged("capture")
    for path in (CAPTURE, CAPTURE_NG):
        (announcement.folder / path).unlink()
    again = judge(announcement.scenario, load_run(announcement.folder, "capture", lambda: None), load_clauses())
    assert again == first
    (announcement.folder / READ).unlink()
    assert announcement.judged("both").outcome is Outcome.ERROR, "there was a capture"
    with pytest.raises(EvidenceError, match="no capture"):
        announcement.evidence("capture")


def test_the_ticket_is_followed_to_the_octet_that_differs(announcement: Captured) -> None:
    announcement.flow.change("invite", "SECTION%3D2", "SECTION%3D3")
    announcement.flow.files["media.log"] = "fetching imap://joe@imap.example.com/INBOX;UID=20 in vain\n"
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    verdict = announcement.judged("both")
    octet = len("imap://joe@imap.example.com/INBOX;UIDVALIDITY=385759045/;UID=20/;SECTION=") + 1
    told = f"the first octet that differs is {octet}: '3;EXPIRE=202' here, '2;EXPIRE=202' before"
    red = {check.words: [one.seen for one in check.result.breaches] for check in verdict.checks}
    (played,), (fetched,) = red["url played is url authorised"], red["url fetched is url played"]
    assert told in played
    assert "'2;EXPIRE=202' here, '3;EXPIRE=202' before" in fetched
    places = [line.partition(":")[0] for line in verdict.ticket if not line.startswith(" ")]
    assert places == ["authorised", "played", "fetched", "answered", "logged by the media node (media.log, line 1)"]
    assert f"  {told}" in verdict.ticket
    assert not any(announcement.token in line for line in verdict.ticket)


def test_a_changed_token_is_reported_by_its_fingerprint(announcement: Captured) -> None:
    forged = "01" + "d4" * 32
    announcement.flow.change("urlfetch", "fp-0123456789abcdef", forged)
    announcement.flow["rtp"].seconds = 0.4
    announcement.write()
    verdict = announcement.judged("capture")
    (seen,) = (reason.seen for reason in verdict.reasons if reason.place == FETCHED)
    assert f"in the token ({Redactor('s').fingerprint(forged)} here, {announcement.fingerprint} before)" in seen
    assert forged not in seen


def test_masked_digits_stay_in_the_secret_folder(interactive: Captured) -> None:
    interactive.flow.change("info", 'cleardigits="yes"', 'cleardigits="yes" maskdigits="yes"')
    interactive.flow.change("response", 'digits=""', 'digits="87*65"')
    interactive.write()
    interactive.judged("capture")
    read = (interactive.folder / READ).read_text()
    assert "Signal=6" not in read
    assert read.count("Signal=-") == 2, "as it was sent, and as it was received"
    assert "87*65" not in read
    assert 'digits=\\"-----\\"' in read
