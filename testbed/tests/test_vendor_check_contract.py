from __future__ import annotations

import json
import socket

import pytest

from lemonade_testbed.vendor_check.contract_client import invited, judge_unsupported
from lemonade_testbed.vendor_check.findings import REQUIREMENTS, ContractVerdict


def test_a_point_that_is_broken_breaks_the_contract_and_one_not_looked_at_does_not() -> None:
    verdict = ContractVerdict("imap", "example/imap:1.0")
    assert verdict.note("ready", True, "0.2 s")
    assert not verdict.note("ticket", None, "not looked at")
    assert verdict.kept
    assert not verdict.note("stop", False, "still there")
    assert not verdict.kept
    told = json.loads(verdict.json())
    assert (told["role"], told["image"], told["kept"]) == ("imap", "example/imap:1.0", False)
    assert told["findings"][2] == {
        "name": "stop",
        "requirement": REQUIREMENTS["stop"],
        "kept": False,
        "seen": "still there",
    }


@pytest.mark.parametrize(
    ("log", "kept"), [("ready\nfetched 00AB\n", False), ("ready\nfetched fp-0123\n", True), ("", True)]
)
def test_a_token_in_the_log_is_found_in_either_case(log: str, kept: bool) -> None:
    verdict = ContractVerdict("imap", "i")
    verdict.note_token(log, "00ab", "")
    assert verdict.kept is kept
    assert verdict.findings[0].seen.startswith("not in" if kept else "in line 2")


@pytest.mark.parametrize(
    ("strange", "codes", "kept", "seen"),
    [
        (127, {"announcement-service": 0}, True, "exit code 127"),
        (127, {"announcement-service": 127, "ivr-service": None}, True, "exit code 127"),
        (127, {"announcement-service": 127, "ivr-service": 127}, False, "but for announcement-service and ivr-service"),
        (0, {"announcement-service": 0}, False, "exit code 0"),
        (None, {"announcement-service": 1}, False, "it did not end"),
    ],
)
def test_a_client_that_ends_every_scenario_with_127_breaks_the_contract(
    strange: int | None, codes: dict[str, int | None], kept: bool, seen: str
) -> None:
    judged = judge_unsupported(strange, codes)
    assert judged[0] is kept
    assert seen in judged[1]


class Calling:
    """A client that has sent its INVITE; with a `code` it has ended after that."""

    def __init__(self, code: int | None = None) -> None:
        self._code = code

    def start(self) -> None:
        pass

    def ended(self, within: float = 0.0) -> int | None:
        return self._code


TICKETS = {
    "INVITE sip:annc@a;play=imap%3A//x%3Ainternal%3A00ff SIP/2.0": "00ff",
    "INVITE sip:annc@a;play=imap://x:INTERNAL:00ff SIP/2.0": "00ff",
    "INVITE sip:ivr@a SIP/2.0": "",
    "OPTIONS sip:a SIP/2.0": None,
}


@pytest.mark.parametrize(("line", "token"), TICKETS.items())
def test_the_token_is_read_from_the_invite_of_a_client_that_has_ended(line: str, token: str | None) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller,
    ):
        silent.bind(("127.0.0.1", 0))
        caller.sendto(f"{line}\r\n\r\n".encode(), silent.getsockname())
        assert invited(Calling(0), silent) == token  # type: ignore[arg-type]  # as much of a node as it needs
