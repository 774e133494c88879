"""The steps that concern the mailbox, against an IMAP server of hand-written octets."""

import pytest

from lemonade_client.testing.bench import TICKET, TICKET_STEPS, Bench, behaviour_of
from lemonade_wire.profile import DRAFT_07, RFC_5616, Profile
from lemonade_wire.tls import TlsPolicy


def test_find_part_reads_the_structure_of_the_newest_message_and_no_body() -> None:
    run = Bench("  - find-part: {type: audio/*}\n").start()
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


def test_login_is_used_without_plain_and_never_with_logindisabled() -> None:
    run = Bench("  - find-part: {}\n", server={"CAPABILITY": "* CAPABILITY IMAP4rev1\r\n", "LOGIN": ""}).start()
    assert run.mail.sent[1] == 'LOGIN "joe" "secret"'
    assert run.states == ["1 done"]
    run = Bench("  - find-part: {}\n", server={"CAPABILITY": "* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n"}).start()
    assert run.states == ["1 failed"]
    assert not any("LOGIN " in line for line in run.mail.sent)


def test_tls_starts_before_the_login_if_starttls_is_offered() -> None:
    offers = {"CAPABILITY": "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\n", "STARTTLS": ""}
    run = Bench("  - find-part: {}\n", server=offers).start()
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
def test_the_tls_policy_decides_whether_a_login_in_the_clear_is_allowed(
    server: dict[str, str], policy: TlsPolicy, why: str
) -> None:
    run = Bench("  - find-part: {}\n", server=server)
    run.runner.session.tls = policy
    run.start()
    assert run.states == ["1 failed" if why else "1 done"]
    assert not why or (run.why, [line for line in run.mail.sent if "AUTH" in line]) == (why, [])
    assert why or not any("STARTTLS" in line for line in run.mail.sent)


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"AUTHENTICATE PLAIN AGPVZQBZZWNYZXQ=": "NO wrong"}, "IMAP: the server answered the login with NO"),
        ({"SELECT": "NO no such mailbox"}, "SELECT got NO no such mailbox"),
        ({"UID SEARCH ALL": "* SEARCH\r\n"}, "the mailbox INBOX holds no message"),
        ({"UID SEARCH ALL": "BAD what"}, "UID SEARCH got BAD what"),
        ({"UID FETCH 20 (BODYSTRUCTURE)": ""}, "the server gave no BODYSTRUCTURE for message 20"),
    ],
)
def test_find_part_reports_the_reason_of_a_failure(server: dict[str, str], why: str) -> None:
    run = Bench("  - find-part: {}\n  - discover\n", server=server).start()
    assert (run.states, run.why) == (["1 failed"], why)
    assert run.runner.failed
    assert run.runner.finished


def test_find_part_without_a_part_of_the_type_names_the_types_found() -> None:
    run = Bench("  - find-part: {type: video/*}\n").start()
    assert run.why == "no part is video/*; the message's parts: text/plain, audio/basic"


@pytest.mark.parametrize("media_type", ["AUDIO/*", "audio/BASIC"])
def test_media_types_compare_without_case(media_type: str) -> None:
    assert Bench(f"  - find-part: {{type: {media_type}}}\n").start().states == ["1 done"]


def test_a_connection_that_is_refused_fails_the_step() -> None:
    run = Bench("  - find-part: {}\n")
    run.mail.refused = "no connection to the IMAP server"
    run.start()
    assert (run.states, run.why) == (["1 failed"], "IMAP: no connection to the IMAP server")
    assert run.runner.finished


def test_authorise_appends_expire_then_access_and_keeps_the_url_octet_for_octet() -> None:
    run = Bench(TICKET_STEPS).start()
    asked = TICKET.partition(":INTERNAL:")[0]
    assert f'GENURLAUTH "{asked}" INTERNAL' in run.mail.sent
    assert run.session.url == TICKET


@pytest.mark.parametrize(
    ("arguments", "tail"),
    [
        ("access: submit+, expire: none", ";URLAUTH=submit+joe"),
        ("access: user+ann, expire: none", ";URLAUTH=user+ann"),
        ("expire: none", ";URLAUTH=submit+joe"),
        ("access: stream, expire: -1 min", ";EXPIRE=2027-01-15T07:59:00Z;URLAUTH=stream"),
    ],
)
def test_the_url_has_the_access_and_expiry_of_the_step(arguments: str, tail: str) -> None:
    run = Bench(f"  - find-part: {{}}\n  - authorise: {{{arguments}}}\n").start()
    assert run.states == ["1 done", "2 done"]
    assert any(line.endswith(f'/;SECTION=2{tail}" INTERNAL') for line in run.mail.sent)


def test_the_profile_gives_the_access_if_the_script_gives_none() -> None:
    run = Bench("  - find-part: {}\n  - authorise: {expire: none}\n", profile=RFC_5616).start()
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
def test_authorise_accepts_only_the_requested_url_with_a_token(answer: str, why: str) -> None:
    run = Bench(TICKET_STEPS, server={"GENURLAUTH": answer}).start()
    assert run.states == ["1 done", "2 failed"]
    assert why in run.why
    assert run.session.url is None


def test_authorise_before_find_part_fails_and_names_find_part() -> None:
    assert Bench("  - authorise: {}\n").start().why == "no part to authorise: find-part comes first"


def test_discover_asks_for_one_entry_a_command_in_the_profiles_order() -> None:
    table = {'GETMETADATA "" "/PUBLIC': "BAD invalid entry", 'GETMETADATA "" "/SHARED': METADATA}
    run = Bench("  - discover: {}\n", server=table).start()
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


def test_discovery_without_result_falls_back_to_configuration() -> None:
    run = Bench("  - discover: {}\n").start()
    assert (run.states, run.why) == (["1 done"], "no media servers are listed")
    run = Bench("  - discover: {}\n", head="").start()
    assert run.states == ["1 failed"]


def test_a_metadata_value_that_cannot_be_read_is_ignored() -> None:
    table = {'GETMETADATA "" "/PUBLIC': '* METADATA "" (/public/mediaServers "<<")\r\n'}
    run = Bench("  - discover: {}\n", server=table).start()
    assert run.states == ["1 done"]
    assert "/public/mediaServers cannot be read" in run.why


def test_raw_commands_get_their_variables_and_their_result_is_checked() -> None:
    steps = f"{TICKET_STEPS}  - imap: 'URLFETCH \"$url\"'\n  - imap: {{command: 'X$section.$uid', expect: BAD}}\n"
    run = Bench(steps, server={"URLFETCH": ""}).start()
    assert f'URLFETCH "{TICKET}"' in run.mail.sent
    assert "X2.20" in run.mail.sent
    assert run.states == ["1 done", "2 done", "3 done", "4 done"]
    run = Bench("  - imap: {command: NOOP, expect: 'NO'}\n").start()
    assert (run.states, run.why) == (["1 failed"], "OK done came back; NO is expected")
    run = Bench("  - imap: 'URLFETCH \"$url\"'\n").start()
    assert "'$url' has no value here" in run.why


def test_a_ticket_in_the_answer_to_a_raw_command_is_used() -> None:
    steps = (
        "  - imap: 'GENURLAUTH \"imap://joe@h/a\" INTERNAL'\n  - imap: 'URLFETCH \"$url\"'\n  - imap: NOOP\n"
        "  - imap: 'URLFETCH \"imap://joe@h/b:INTERNAL:$token\"'\n"
    )
    server = {"GENURLAUTH": '* GENURLAUTH "imap://joe@h/a:INTERNAL:01ab"\r\n', "URLFETCH": "", "NOOP": ""}
    run = Bench(steps, server=server).start()
    fetched = [line for line in run.mail.sent if line.startswith("URLFETCH")]
    assert fetched == ['URLFETCH "imap://joe@h/a:INTERNAL:01ab"', 'URLFETCH "imap://joe@h/b:INTERNAL:01ab"']


def test_fault_no_expire() -> None:
    run = Bench("  - find-part: {}\n  - authorise: {access: stream}\n", behaviour=behaviour_of("no-expire")).start()
    assert any("GENURLAUTH" in line and ";SECTION=2;URLAUTH=stream" in line for line in run.mail.sent)


def test_fault_downloads_part() -> None:
    run = Bench("  - find-part: {}\n", behaviour=behaviour_of("downloads-part")).start()
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
def test_authorise_may_expect_that_no_ticket_comes(answer: str, states: list[str], why: str) -> None:
    steps = "  - find-part: {}\n  - authorise: {expect: none}\n"
    run = Bench(steps, server={"GENURLAUTH": answer}).start()
    assert run.states == states
    assert why in run.reports[-1].why
    assert (run.session.url is None) is (states[-1] == "2 done")


TOKENS = ["authuser", "AuthUser", "submit+", "SUBMIT", "stream", "Stream"]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(("profile", "access"), [(DRAFT_07, "submit+joe"), (RFC_5616, "stream")])
def test_a_server_listed_as_authorised_gets_the_profiles_access(token: str, profile: Profile, access: str) -> None:
    steps = "  - find-part: {}\n  - discover: {}\n  - authorise: {access: anonymous, expire: none}\n  - announce: {}\n"
    value = f'* METADATA "" ({profile.media_servers_entry} "<sip:annc@a.example.net>:{token}")\r\n'
    run = Bench(steps, profile=profile, server={"GETMETADATA": value}).start()
    assert any(line.endswith(f'/;SECTION=2;URLAUTH={access}" INTERNAL') for line in run.mail.sent)
    [done] = [report.why for report in run.reports if (report.step.verb, report.state) == ("authorise", "done")]
    assert done == f"{access}, and not anonymous: the media server is listed as authorised"


@pytest.mark.parametrize("tail", ["", ":other"])
@pytest.mark.parametrize(("arguments", "access"), [("access: anonymous", "anonymous"), ("expire: none", "submit+joe")])
def test_a_server_listed_without_a_token_gets_the_scripts_or_the_profiles_access(
    tail: str, arguments: str, access: str
) -> None:
    steps = f"  - find-part: {{}}\n  - discover: {{}}\n  - authorise: {{{arguments}}}\n"
    value = f'* METADATA "" (/public/mediaServers "<sip:annc@a.example.net>{tail}")\r\n'
    run = Bench(steps, server={"GETMETADATA": value}).start()
    assert any(line.endswith(f';URLAUTH={access}" INTERNAL') for line in run.mail.sent)


@pytest.mark.parametrize(
    ("call", "access"), [("announce: {}", "anonymous"), ("ivr: {}", "submit+joe"), ("mscml: '<stop/>'", "submit+joe")]
)
def test_the_access_depends_on_the_server_of_the_next_call(call: str, access: str) -> None:
    steps = f"  - find-part: {{}}\n  - discover: {{}}\n  - authorise: {{access: anonymous}}\n  - {call}\n"
    value = '* METADATA "" (/public/mediaServers "<sip:annc@a.example.net>;<sip:ivr@a.example.net>:authuser")\r\n'
    run = Bench(steps, server={"GETMETADATA": value}).start()
    assert any(line.endswith(f';URLAUTH={access}" INTERNAL') for line in run.mail.sent)


def test_a_refused_url_removes_an_older_ticket() -> None:
    refused = "* GENURLAUTH {arg}\r\n"
    server = {'GENURLAUTH "IMAP://JOE@IMAP.EXAMPLE.COM/VOICE': refused}
    steps = f"{TICKET_STEPS}  - find-part: {{mailbox: Voice}}\n  - authorise: {{expect: none}}\n"
    run = Bench(steps, server=server).start()
    assert run.states == ["1 done", "2 done", "3 done", "4 done"]
    assert run.session.url is None
