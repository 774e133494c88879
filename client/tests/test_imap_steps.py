"""The steps at the mailbox, against a server of hand-written octets."""

from collections.abc import Callable
from typing import Any

import pytest

from lemonade_client.faults import DownloadsPart, NoExpire
from lemonade_wire.profile import RFC_5616
from lemonade_wire.tls.policy import TlsPolicy


def test_find_part_reads_the_structure_of_the_newest_message_and_no_body(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {type: audio/*}\n").start()
    assert run.mail.sent == [
        "CAPABILITY",
        "AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=",
        "CAPABILITY",
        'SELECT "INBOX"',
        "UID SEARCH ALL",
        "UID FETCH 20 (BODYSTRUCTURE)",
        "LOGOUT",
    ]
    assert run.states == ["1 done"]
    assert run.why == "part 2, audio/basic, of message 20"
    assert run.runner.finished
    assert run.mail.closed


def test_login_is_used_where_plain_is_not_offered_and_never_where_it_is_disabled(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n", server={"CAPABILITY": "* CAPABILITY IMAP4rev1\r\n", "LOGIN": ""}).start()
    assert run.mail.sent[1] == 'LOGIN "joe" "secret"'
    assert run.states == ["1 done"]
    run = bench("  - find-part: {}\n", server={"CAPABILITY": "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n"}).start()
    assert run.states == ["1 failed"]
    assert not any("LOGIN " in line for line in run.mail.sent)


def test_tls_begins_before_the_login_where_it_is_offered(bench: Callable[..., Any]) -> None:
    offers = {"CAPABILITY": "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\n", "STARTTLS": ""}
    run = bench("  - find-part: {}\n", server=offers).start()
    assert [line.split()[0] for line in run.mail.sent[:4]] == ["CAPABILITY", "STARTTLS", "CAPABILITY", "AUTHENTICATE"]
    assert run.states == ["1 done"]


@pytest.mark.parametrize(
    ("server", "policy", "why"),
    [
        ({}, TlsPolicy.REQUIRED, "IMAP: the server offers no STARTTLS"),
        (
            {"CAPABILITY": "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n", "STARTTLS": "NO not now"},
            TlsPolicy.REQUIRED,
            "IMAP: the server answered STARTTLS with NO",
        ),
        ({"CAPABILITY": "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\n"}, TlsPolicy.NEVER, ""),
    ],
)
def test_the_policy_says_what_becomes_of_a_mailbox_in_the_clear(
    bench: Callable[..., Any], server: dict[str, str], policy: TlsPolicy, why: str
) -> None:
    run = bench("  - find-part: {}\n", server=server)
    run.runner.session.tls = policy
    run.start()
    assert run.states == ["1 failed" if why else "1 done"]
    assert not why or (run.why, [line for line in run.mail.sent if "AUTH" in line]) == (why, [])
    assert why or not any("STARTTLS" in line for line in run.mail.sent)


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"AUTHENTICATE PLAIN AGPVZQBZZWNYZXQ=": "NO wrong"}, "IMAP: the login got NO wrong"),
        ({"SELECT": "NO no such mailbox"}, "SELECT got NO no such mailbox"),
        ({"UID SEARCH ALL": "* SEARCH\r\n"}, "the mailbox INBOX holds no message"),
        ({"UID SEARCH ALL": "BAD what"}, "UID SEARCH got BAD what"),
        ({"UID FETCH 20 (BODYSTRUCTURE)": ""}, "the server gave no BODYSTRUCTURE for message 20"),
    ],
)
def test_find_part_says_why_it_failed(bench: Callable[..., Any], server: dict[str, str], why: str) -> None:
    run = bench("  - find-part: {}\n  - discover\n", server=server).start()
    assert (run.states, run.why) == (["1 failed"], why)
    assert run.runner.failed
    assert run.runner.finished


def test_find_part_fails_where_no_part_is_of_the_type_and_names_those_there(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {type: video/*}\n").start()
    assert run.why == "no part is video/*; the message's parts: text/plain, audio/basic"


@pytest.mark.parametrize("media_type", ["AUDIO/*", "audio/BASIC"])
def test_media_types_compare_without_case(bench: Callable[..., Any], media_type: str) -> None:
    assert bench(f"  - find-part: {{type: {media_type}}}\n").start().states == ["1 done"]


def test_a_connection_that_is_refused_fails_the_step(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n")
    run.mail.refused = "no connection to the IMAP server"
    run.start()
    assert (run.states, run.why) == (["1 failed"], "IMAP: no connection to the IMAP server")
    assert run.runner.finished


def test_authorise_appends_expire_then_access_and_keeps_the_url_octet_for_octet(
    bench: Callable[..., Any], ticket_steps: str, ticket: str
) -> None:
    run = bench(ticket_steps).start()
    asked = ticket.partition(":INTERNAL:")[0]
    assert f'GENURLAUTH "{asked}" INTERNAL' in run.mail.sent
    assert run.session.url == ticket


@pytest.mark.parametrize(
    ("arguments", "tail"),
    [
        ("access: submit+, expire: none", ";URLAUTH=submit+joe"),
        ("access: user+ann, expire: none", ";URLAUTH=user+ann"),
        ("expire: none", ";URLAUTH=submit+joe"),
        ("access: stream, expire: -1 min", ";EXPIRE=2027-01-15T07:59:00Z;URLAUTH=stream"),
    ],
)
def test_access_and_expiry(bench: Callable[..., Any], arguments: str, tail: str) -> None:
    run = bench(f"  - find-part: {{}}\n  - authorise: {{{arguments}}}\n").start()
    assert run.states == ["1 done", "2 done"]
    assert any(line.endswith(f'/;SECTION=2{tail}" INTERNAL') for line in run.mail.sent)


def test_the_profile_gives_the_access_where_the_script_does_not(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n  - authorise: {expire: none}\n", profile=RFC_5616).start()
    assert any(line.endswith(';URLAUTH=stream" INTERNAL') for line in run.mail.sent)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("BAD missing access identifier", "GENURLAUTH got BAD missing access identifier"),
        ("", "GENURLAUTH gave 0 URLs"),
        ('* GENURLAUTH "{arg}"\r\n', "is not the one asked for"),
        ('* GENURLAUTH "{arg}:OTHER:01ab"\r\n', "is not the one asked for"),
        ('* GENURLAUTH "imap://joe@imap.example.com/x:INTERNAL:01ab"\r\n', "is not the one asked for"),
        ('* GENURLAUTH "a" "b"\r\n', "GENURLAUTH gave 2 URLs"),
    ],
)
def test_authorise_takes_nothing_but_the_asked_url_with_a_token(
    bench: Callable[..., Any], ticket_steps: str, answer: str, why: str
) -> None:
    run = bench(ticket_steps, server={"GENURLAUTH": answer}).start()
    assert run.states == ["1 done", "2 failed"]
    assert why in run.why
    assert run.session.url is None


def test_authorise_before_find_part_says_what_comes_first(bench: Callable[..., Any]) -> None:
    assert bench("  - authorise: {}\n").start().why == "no part to authorise: find-part comes first"


def test_discover_asks_for_one_entry_a_command_in_the_profiles_order(bench: Callable[..., Any]) -> None:
    table = {'GETMETADATA "" "/PUBLIC': "BAD invalid entry", 'GETMETADATA "" "/SHARED': METADATA}
    run = bench("  - discover: {}\n", server=table).start()
    assert [line for line in run.mail.sent if "METADATA" in line] == [
        'GETMETADATA "" "/public/mediaServers"',
        'GETMETADATA "" "/shared/mediaServers"',
    ]
    assert [str(target.uri) for target in run.session.targets] == ["sip:ivr@a.example.net", "sip:b.example.net:5070"]
    assert [target.authorised for target in run.session.targets] == [True, False]
    assert run.states == ["1 done"]


METADATA = (
    '* METADATA "" (/shared/mediaServers "<sip:ivr@a.example.net>:authuser;<rtsp:x>;<sip:b.example.net:5070>;'
    '<sips:annc@c.example.net>:authuser")\r\n'
)


def test_discovery_without_result_falls_back_to_configuration(bench: Callable[..., Any]) -> None:
    run = bench("  - discover: {}\n").start()
    assert (run.states, run.why) == (["1 done"], "no media servers are listed")
    run = bench("  - discover: {}\n", head="").start()
    assert run.states == ["1 failed"]


def test_a_value_that_cannot_be_read_is_passed_over(bench: Callable[..., Any]) -> None:
    table = {'GETMETADATA "" "/PUBLIC': '* METADATA "" (/public/mediaServers "<<")\r\n'}
    run = bench("  - discover: {}\n", server=table).start()
    assert run.states == ["1 done"]
    assert "/public/mediaServers cannot be read" in run.why


def test_raw_commands_get_their_values_and_compare_the_result(
    bench: Callable[..., Any], ticket_steps: str, ticket: str
) -> None:
    steps = f"{ticket_steps}  - imap: 'URLFETCH \"$url\"'\n  - imap: {{command: 'X$section.$uid', expect: BAD}}\n"
    run = bench(steps, server={"URLFETCH": ""}).start()
    assert f'URLFETCH "{ticket}"' in run.mail.sent
    assert "X2.20" in run.mail.sent
    assert run.states == ["1 done", "2 done", "3 done", "4 done"]
    run = bench("  - imap: {command: NOOP, expect: 'NO'}\n").start()
    assert (run.states, run.why) == (["1 failed"], "OK done came back; NO is expected")
    run = bench("  - imap: 'URLFETCH \"$url\"'\n").start()
    assert "'$url' has no value here" in run.why


def test_fault_no_expire(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n  - authorise: {access: stream}\n", behaviour=NoExpire()).start()
    assert any("GENURLAUTH" in line and ";SECTION=2;URLAUTH=stream" in line for line in run.mail.sent)


def test_fault_downloads_part(bench: Callable[..., Any]) -> None:
    run = bench("  - find-part: {}\n", behaviour=DownloadsPart()).start()
    assert "UID FETCH 20 (BODY.PEEK[2])" in run.mail.sent


@pytest.mark.parametrize(
    ("answer", "states", "why"),
    [
        (
            '* GENURLAUTH "{arg}x:INTERNAL:01ab"\r\n',
            ["1 done", "2 done"],
            "the URL that came back is not the one asked for",
        ),
        ("NO no", ["1 done", "2 done"], "GENURLAUTH got NO no"),
        ('* GENURLAUTH "{arg}:INTERNAL:01ab"\r\n', ["1 done", "2 failed"], "a ticket came back; none is expected"),
    ],
)
def test_no_ticket_may_be_what_is_expected(bench: Callable[..., Any], answer: str, states: list[str], why: str) -> None:
    steps = "  - find-part: {}\n  - authorise: {expect: none}\n"
    run = bench(steps, server={"GENURLAUTH": answer}).start()
    assert run.states == states
    assert why in run.reports[-1].why
    assert (run.session.url is None) is (states[-1] == "2 done")
