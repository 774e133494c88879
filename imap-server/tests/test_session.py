from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.base import ParsedCommand, SessionState
from lemonade_imap.grammar.parser import READERS
from lemonade_imap.session import Answered, CommandReceived, ImapSession, MessageOctets
from lemonade_imap.testing import LoopbackServer

SMALL = ServerConfig(passwords={"joe": "secret"}, max_line=200, max_literal=20, max_message=1000)


def answers(session: ImapSession, octets: bytes) -> list[bytes]:
    """Return the session's own answers to these octets; a command is represented by its tag."""
    session.receive_data(octets)
    said = []
    while (event := session.next_event()) is not None:
        assert not isinstance(event, MessageOctets)
        said.append(event.text if isinstance(event, Answered) else event.tag.encode())
    return said


def test_every_command_names_the_states_in_which_it_is_legal() -> None:
    known = ParsedCommand.__subclasses__()
    assert len(known) > len(READERS) // 2
    assert all(command.legal_in and SessionState.LOGOUT not in command.legal_in for command in known)


@pytest.mark.parametrize(
    ("line", "state"),
    [
        (b"a SELECT INBOX", "before authentication"),
        (b"a URLFETCH x", "before authentication"),
        (b'a GETMETADATA "" /shared/x', "before authentication"),
    ],
)
def test_a_command_out_of_its_state_is_bad(line: bytes, state: str) -> None:
    (said,) = answers(ImapSession(SMALL), line + b"\r\n")
    assert said.startswith(b"a BAD ")
    assert said.endswith(state.encode())


@pytest.mark.parametrize(
    ("user", "command", "said"),
    [
        ("joe", b"UNSELECT", b"BAD UNSELECT is not possible without a selected mailbox"),
        ("joe", b"CLOSE", b"BAD CLOSE is not possible without a selected mailbox"),
        ("joe", b"UID FETCH 1 UID", b"BAD UID FETCH is not possible without a selected mailbox"),
        ("joe", b"AUTHENTICATE PLAIN", b"BAD AUTHENTICATE is not possible after authentication"),
        ("joe", b"STARTTLS", b"BAD STARTTLS is not possible after authentication"),
        (None, b"EXAMINE INBOX", b"BAD EXAMINE is not possible in an anonymous session"),
        (None, b"LOGIN joe x", b"BAD LOGIN is not possible after authentication"),
    ],
)
def test_a_command_in_the_wrong_state_is_named_as_the_client_sent_it(
    user: str | None, command: bytes, said: bytes
) -> None:
    session = ImapSession(SMALL)
    session.log_in(user)
    assert answers(session, b"a " + command + b"\r\n") == [b"a " + said]


def test_legal_commands_follow_changes_of_the_state() -> None:
    session = ImapSession(SMALL)
    session.log_in(None)
    assert answers(session, b"a URLFETCH x\r\nb SELECT INBOX\r\n")[0] == b"a"
    session.log_in("joe")
    assert answers(session, b"a SELECT INBOX\r\nb FETCH 1 UID\r\nc LOGIN joe x\r\n") == [
        b"a",
        b"b BAD FETCH is not possible without a selected mailbox",
        b"c BAD LOGIN is not possible after authentication",
    ]


def test_each_event_returns_one_command() -> None:
    session = ImapSession(SMALL)
    session.receive_data(b"a LOGIN joe secret\r\nb SELECT INBOX\r\n")
    first = session.next_event()
    assert isinstance(first, CommandReceived)
    session.log_in("joe")
    second = session.next_event()
    assert isinstance(second, CommandReceived)
    assert second.tag == "b"
    session.log_out()
    session.receive_data(b"c NOOP\r\n")
    assert session.next_event() is None


def test_literals_get_a_continuation_unless_they_are_non_synchronising() -> None:
    session = ImapSession(SMALL)
    assert answers(session, b"a LOGIN {3}\r\n") == [b"+ go on"]
    assert answers(session, b"joe {6}\r\n") == [b"+ go on"]
    assert answers(session, b"secret\r\nb LOGIN {3+}\r\njoe {6+}\r\nsecret\r\n") == [b"a", b"b"]


def test_a_literal_too_large_ends_its_command() -> None:
    session = ImapSession(SMALL)
    assert answers(session, b"a LOGIN {30}\r\nb NOOP\r\n") == [
        b"a BAD a literal of this size is not accepted here",
        b"b",
    ]
    assert answers(session, b"c LOGIN {30+}\r\n" + b"x" * 30 + b"\r\nd NOOP\r\n") == [
        b"c BAD a literal of this size is not accepted here",
        b"d",
    ]
    session.log_in("joe")
    assert answers(session, b"e APPEND INBOX {1001}\r\nf APPEND INBOX {900}\r\n") == [
        b"e NO [TOOBIG] a literal of this size is not accepted here",
        b"f",
        b"+ go on",
    ]


def test_octets_of_refused_literals_are_skipped_up_to_the_limit() -> None:
    # RFC 7888, 4: a server may read on or send BYE; the refused command is answered in both cases
    small = replace(SMALL, max_passed=100)
    bye = b"* BYE [LIMIT] a refused literal is too large to be skipped"
    refusal = b"a BAD a literal of this size is not accepted here"
    session = ImapSession(small)
    assert answers(session, b"a LOGIN {101+}\r\n" + b"x" * 101 + b"\r\nb NOOP\r\n") == [refusal, bye]
    assert session.state is SessionState.LOGOUT
    together = b"a LOGIN {60+}\r\n" + b"x" * 60 + b" {%d+}\r\n" + b"x" * 60 + b"\r\nb NOOP\r\n"
    assert answers(ImapSession(small), together % 60) == [refusal, bye]
    # A synchronising literal that was refused is not sent, and each command has its own count.
    assert (
        answers(ImapSession(small), b"a LOGIN {999999}\r\n" + b"a LOGIN {60+}\r\n" + b"x" * 60 + b"\r\n")
        == [refusal] * 2
    )
    session = ImapSession(small)
    assert answers(session, (b"a LOGIN {60+}\r\n" + b"x" * 60 + b"\r\n") * 3) == [refusal] * 3
    session = ImapSession(small)
    assert answers(session, b"a AUTHENTICATE PLAIN\r\n{101+}\r\n") == [b"+ ", refusal, bye]


def test_before_login_a_message_literal_is_refused() -> None:
    assert answers(ImapSession(SMALL), b"a APPEND INBOX {900}\r\n")[0].startswith(b"a NO [TOOBIG]")


def test_a_too_long_line_is_answered_and_skipped() -> None:
    session = ImapSession(SMALL)
    assert answers(session, b"a NOOP " + b"x" * 500) == [b"a BAD a line has at most 200 octets"]
    assert answers(session, b"x" * 500 + b"\r\nb NOOP\r\n") == [b"b"]


@pytest.mark.parametrize("garbage", [b"", b"\xff\xfe", b"+", b'"quoted" NOOP', b"\0"])
def test_a_line_without_a_tag_is_untagged_bad(garbage: bytes) -> None:
    (said,) = answers(ImapSession(SMALL), garbage + b"\r\n")
    assert said.startswith(b"* BAD ")


def test_the_line_after_a_challenge_is_the_sasl_response() -> None:
    session = ImapSession(SMALL)
    session.receive_data(b"a AUTHENTICATE PLAIN\r\n")
    asked = session.next_event()
    assert isinstance(asked, Answered)
    assert asked.text == b"+ "
    session.receive_data(b"AGpvZQBzZWNyZXQ=\r\n")
    event = session.next_event()
    assert isinstance(event, CommandReceived)
    # the message is a secret, so that the trace gets no line
    assert (event.tag, event.line) == ("a", None)
    assert "secret" not in repr(event)


def test_a_star_or_an_invalid_response_ends_sasl() -> None:
    session = ImapSession(SMALL)
    assert answers(session, b"a AUTHENTICATE PLAIN\r\n*\r\n") == [b"+ ", b"a BAD authentication cancelled"]
    assert answers(session, b"b AUTHENTICATE PLAIN\r\n!\r\n") == [b"+ ", b"b BAD base64 is expected"]
    assert answers(session, b"c AUTHENTICATE PLAIN\r\nx {3}\r\nd NOOP\r\n") == [
        b"+ ",
        b"c BAD a literal of this size is not accepted here",
        b"d",
    ]
    assert answers(session, b"e AUTHENTICATE GSSAPI\r\n") == [
        b"e NO [CANNOT] the mechanisms are SCRAM-SHA-256, PLAIN, ANONYMOUS"
    ]


TALK = [
    b"a LOGIN joe secret\r\n",
    b"a LOGIN {3+}\r\njoe secret\r\n",
    b"b AUTHENTICATE ANONYMOUS\r\n",
    b"bWU=\r\n",
    b"c SELECT INBOX\r\n",
    b"d APPEND INBOX {5+}\r\nx\r\n\xffy\r\n",
    b"e FETCH 1:* (FLAGS BODY[] BODYSTRUCTURE)\r\n",
    b"f UID SEARCH OR SUBJECT x TEXT y\r\n",
    b"g STORE 1 +FLAGS \\Deleted\r\n",
    b"h EXPUNGE\r\n",
    b'i GENURLAUTH "imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous" INTERNAL\r\n',
    b'j URLFETCH ("imap://joe@imap.example.com/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL:' + b"0" * 32 + b'" BODY)\r\n',
    b'k GETMETADATA "" /shared/mediaServers\r\n',
    b"l LIST {2+}\r\n",
    b"(((\r\n",
    b"\r\n",
    b"{9999999}\r\n",
    b"m CLOSE\r\n",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(TALK), st.binary(max_size=20)), max_size=12))
def test_any_octets_get_the_same_answers_in_one_piece_and_octet_by_octet(pieces: list[bytes]) -> None:
    octets = b"".join(pieces)

    def said(chunks: list[bytes]) -> bytes:
        client = LoopbackServer(SMALL).connect()
        return b"".join(client.receive_data(chunk) for chunk in chunks)

    whole = said([octets])
    assert whole.startswith(b"* OK [CAPABILITY ")
    assert _without_tokens(whole) == _without_tokens(said([octets[at : at + 1] for at in range(len(octets))] or [b""]))


def _without_tokens(said: bytes) -> bytes:
    return re.sub(rb":INTERNAL:01[0-9a-f]{64}", b"", said)


def test_a_pipelined_session_is_answered_in_order() -> None:
    client = LoopbackServer(SMALL).connect()
    said = client.receive_data(b"".join(TALK[:1] + TALK[4:5] + TALK[5:6]) + b"z NOOP\r\ny LOGOUT\r\nx NOOP\r\n")
    tags = re.findall(rb"^([a-z]) OK", said, re.MULTILINE)
    assert tags == [b"a", b"c", b"d", b"z", b"y"]
    assert b"* 1 EXISTS\r\n* 1 RECENT\r\nd OK" in said
    assert client.ended


EARLY = ServerConfig(passwords={"joe": "secret"}).connections.early


@pytest.mark.parametrize(
    "octets",
    [
        b"a LOGIN joe {65001+}\r\n" + b"x" * 65001 + b"\r\n",
        b"a LOGIN " + b"{8000+}\r\n" + b"x" * 8000 + b" {8385+}\r\n" + b"x" * 8385 + b"\r\n",
        b"a LOGIN joe " + b"x" * 16373 + b"\r\n",
        b"a LOGIN " + b"{1+}\r\nx " * 101 + b"\r\n",
    ],
    ids=["a long literal", "two literals", "a long line", "many literals"],
)
def test_a_command_before_login_is_short(octets: bytes) -> None:
    session = ImapSession(ServerConfig(passwords={"joe": "secret"}))
    most = 0
    answers: list[bytes] = []
    for at in range(0, len(octets), 4096):
        session.receive_data(octets[at : at + 4096])
        while (event := session.next_event()) is not None:
            assert isinstance(event, Answered)
            answers.append(event.text)
        most = max(most, session.buffered)
    assert [answer[:6] for answer in answers] == [b"a BAD "]
    assert most <= EARLY
    session.receive_data(b"b NOOP\r\n")
    assert isinstance(session.next_event(), CommandReceived)


def test_a_command_after_login_may_be_long() -> None:
    session = ImapSession(ServerConfig(passwords={"joe": "secret"}))
    session.log_in("joe")
    session.receive_data(b"a CREATE {65000+}\r\n" + b"x" * 65000 + b"\r\nb CREATE " + b"x" * 65000 + b"\r\n")
    assert isinstance(session.next_event(), CommandReceived)
    assert isinstance(session.next_event(), CommandReceived)
