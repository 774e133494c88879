"""The work for a refusal does not depend on its reason. The tests count the work, since times vary."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import ParamSpec, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_imap import urlauth
from lemonade_imap.config import ServerConfig
from lemonade_imap.mail import mime
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.store.thread import InlineRunner
from lemonade_imap.testing import LoopbackServer
from lemonade_imap.testing.world import World
from lemonade_imap.urlauth import UrlAuthRefusal
from lemonade_wire.imap.framing import FramerRole, ImapLiteral, LineFramer, LineReceived

Args = ParamSpec("Args")
Result = TypeVar("Result")
INBOX = "imap://joe@imap.example.com/INBOX"
RUMP = INBOX + "/;UID=1/;SECTION=2;URLAUTH="
TOKEN = ":INTERNAL:01" + "0" * 64
STORE_METHODS = ("with_key", "mailbox", "mailboxes", "create", "key", "make_key", "message", "messages", "uids", "read")


def signed(world: World, rump: str) -> str:
    """Return a URL with the correct token, as GENURLAUTH would return it if it authorised every URL."""
    key = world.server.store.make_key(world.inbox)
    return f"{rump}:INTERNAL:01{hmac.new(key, rump.encode(), hashlib.sha256).hexdigest()}"


REFUSED: list[tuple[UrlAuthRefusal, Callable[[World], str]]] = [
    (UrlAuthRefusal.MALFORMED, lambda _: "nonsense"),
    (UrlAuthRefusal.MALFORMED, lambda _: "imap://joe@imap.example.com/"),
    (UrlAuthRefusal.MALFORMED, lambda _: INBOX),
    (UrlAuthRefusal.MALFORMED, lambda _: INBOX + "?SUBJECT%20x"),
    (UrlAuthRefusal.MALFORMED, lambda _: RUMP + "anonymous"),
    (UrlAuthRefusal.MALFORMED, lambda _: INBOX + "/;UID=1"),
    (UrlAuthRefusal.MECHANISM, lambda _: RUMP + "anonymous:XSAMPLE:" + "0" * 66),
    (UrlAuthRefusal.HOST, lambda _: RUMP.replace("imap.", "pop.") + "anonymous" + TOKEN),
    (UrlAuthRefusal.HOST, lambda _: RUMP.replace(".com", ".com:99") + "anonymous" + TOKEN),
    (UrlAuthRefusal.MAILBOX, lambda _: RUMP.replace("joe", "nobody") + "anonymous" + TOKEN),
    (UrlAuthRefusal.MAILBOX, lambda _: RUMP.replace("joe@", "") + "anonymous" + TOKEN),
    (UrlAuthRefusal.MAILBOX, lambda _: RUMP.replace("joe", "ann") + "anonymous" + TOKEN),
    (UrlAuthRefusal.MAILBOX, lambda _: RUMP.replace("INBOX", "nowhere") + "anonymous" + TOKEN),
    (UrlAuthRefusal.TOKEN, lambda _: RUMP + "anonymous" + TOKEN),
    (UrlAuthRefusal.TOKEN, lambda _: RUMP.replace("UID=1", "UID=99") + "anonymous" + TOKEN),
    (UrlAuthRefusal.TOKEN, lambda world: signed(world, RUMP + "anonymous").replace("imap.", "IMAP.")),
    (
        UrlAuthRefusal.EXPIRED,
        lambda world: signed(world, INBOX + "/;UID=1;EXPIRE=2020-01-01T00:00:00Z;URLAUTH=anonymous"),
    ),
    (UrlAuthRefusal.ACCESS, lambda world: signed(world, RUMP + "user+ann")),
    (UrlAuthRefusal.ACCESS, lambda world: signed(world, RUMP + "submit+joe")),
    (UrlAuthRefusal.ACCESS, lambda world: signed(world, RUMP + "fax")),
    (UrlAuthRefusal.UID_VALIDITY, lambda world: signed(world, INBOX + ";UIDVALIDITY=99/;UID=1;URLAUTH=anonymous")),
    (UrlAuthRefusal.MESSAGE, lambda world: signed(world, RUMP.replace("UID=1", "UID=99") + "anonymous")),
    (UrlAuthRefusal.SECTION, lambda world: signed(world, RUMP.replace("SECTION=2", "SECTION=2.1") + "anonymous")),
]
BY_POLICY: list[tuple[UrlAuthRefusal, TicketPolicy]] = [
    (UrlAuthRefusal.PEER, TicketPolicy(networks=(ip_network("192.0.2.0/24"),), users=frozenset({"mediaserver"}))),
    (UrlAuthRefusal.SIZE, TicketPolicy(max_part=100)),
]


def work_of(world: World, url: str, params: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, Counter[str]]:
    """Return the URLFETCH response behind the URL, and the number of calls of each counted operation."""
    counts: Counter[str] = Counter()

    def counting(name: str, function: Callable[Args, Result]) -> Callable[Args, Result]:
        def counted(*args: Args.args, **kwargs: Args.kwargs) -> Result:
            counts[name] += 1
            return function(*args, **kwargs)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(urlauth, "token_for", counting("token", urlauth.token_for))
        patch.setattr(InlineRunner, "call", counting("visit", InlineRunner.call))
        for name in STORE_METHODS:
            patch.setattr(world.server.store, name, counting(name, getattr(world.server.store, name)))
        return world.fetch(world.joe, url, params), counts


@pytest.mark.parametrize("params", ["", "BINARY BODYPARTSTRUCTURE", "BODY", "BODYPARTSTRUCTURE"])
def test_every_refusal_takes_the_same_work_and_gets_the_same_answer(
    make_world: type[World], params: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.authorise("anonymous")  # a key exists
    works = [(reason, work_of(world, make(world), params, monkeypatch), world.log[-1]) for reason, make in REFUSED]
    for reason, policy in BY_POLICY if params != "BODYPARTSTRUCTURE" else BY_POLICY[:1]:
        world = make_world(config=replace(world.config, tickets=policy))
        works.append((reason, work_of(world, signed(world, RUMP + "anonymous"), params, monkeypatch), world.log[-1]))
    for reason, (answer, counts), log in works:
        assert reason.value in log
        assert answer == b"NIL"
        assert counts == {"visit": 1, "with_key": 1, "token": 1, "message": 1}, reason
    assert params == "BODYPARTSTRUCTURE" or {reason for reason, _, _ in works} == set(UrlAuthRefusal)


def test_a_valid_ticket_is_verified_and_sent_in_one_call_of_the_store(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, counts = work_of(world, world.authorise("anonymous"), "BINARY", monkeypatch)
    assert answer.startswith(b"(BINARY ~{512}\r\n")
    assert counts == {"visit": 1, "with_key": 1, "token": 1, "message": 1, "read": 1}


def test_a_refused_ticket_does_not_make_an_inbox(world: World) -> None:
    # Making an INBOX would take longer once, and so show that the account exists.
    world.fetch(world.joe, RUMP.replace("joe", "ann") + "anonymous" + TOKEN)
    assert world.server.store.with_key("ann", "INBOX") is None


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::7"])
def test_only_listed_media_servers_get_content(make_world: type[World], host: str) -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    policy = TicketPolicy(networks=networks, users=frozenset({"mediaserver"}))
    world = make_world(config=replace(make_world().config, tickets=policy))
    url = world.authorise("anonymous")
    assert world.fetch(world.joe, url) == b"NIL"
    assert world.fetch(world.anonymous(), url) == b"NIL"
    assert world.fetch(world.login("mediaserver"), url).startswith(b"{")
    near = world.server.connect(f"[{host}]:5060" if ":" in host else f"{host}:5060")
    near.receive_data(b"a AUTHENTICATE ANONYMOUS =\r\n")
    assert world.fetch(near, url).startswith(b"{")


def test_a_url_may_name_each_name_of_the_server(make_world: type[World]) -> None:
    names = ("imap.example.com", "mail.example.net", "[2001:db8::1]")
    world = make_world(config=replace(make_world().config, names=names, port=1143))
    for host in ("imap.example.com", "MAIL.example.NET:1143", "[2001:DB8:0::1]:143"):
        url = world.authorise("anonymous", RUMP.replace("imap.example.com", host))
        assert world.fetch(world.joe, url).startswith(b"{")


INNER = (
    b"Subject: inner\r\nFrom: ann@example.com\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n"
)
FORWARD = (
    b"Subject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn=\r\n"
    b"\r\n--b\r\nContent-Type: message/rfc822\r\nX-Part: 2\r\n\r\n" + INNER + b"--b--\r\n"
)
INNER_HEADER, INNER_BODY = INNER[: INNER.index(b"\r\n\r\n") + 4], b"AAEC"
OUTER_HEADER = FORWARD[: FORWARD.index(b"\r\n\r\n") + 4]


def string(octets: bytes) -> bytes:
    """Return octets as the string form that the server uses."""
    return b"{%d}\r\n%s" % (len(octets), octets) if octets else b'""'


def ticket(world: World, section: str, uid: int = 2) -> str:
    """Return a ticket for a section of a message."""
    where = f"/;SECTION={section}" if section else ""
    url: str = world.authorise("anonymous", f"imap://joe@imap.example.com/INBOX/;UID={uid}{where};URLAUTH=")
    return url


def test_a_whole_message_has_the_lines_of_header_and_body(world: World) -> None:
    # RFC 3501, 7.4.2: the size in text lines of the encapsulated message
    world.append(FORWARD)
    told = world.fetch(world.joe, ticket(world, ""), "BODYPARTSTRUCTURE")
    assert told.endswith(b" %d NIL NIL NIL NIL))" % FORWARD.count(b"\n")), told


@pytest.mark.parametrize(
    ("section", "stored", "decoded"),
    [
        ("", FORWARD, FORWARD),
        ("HEADER", OUTER_HEADER, OUTER_HEADER),
        ("TEXT", FORWARD[len(OUTER_HEADER) :], FORWARD[len(OUTER_HEADER) :]),
        ("1", b"gr=C3=BCn=\r\n", "grün".encode()),
        ("2.MIME", b"Content-Type: message/rfc822\r\nX-Part: 2\r\n\r\n", None),
        ("2", INNER[:-2], None),
        ("2.HEADER", INNER_HEADER, None),
        ("2.TEXT", INNER_BODY, None),
        ("2.1", INNER_BODY, b"\0\1\2"),
        ("2.1.MIME", INNER_HEADER, None),
        ("HEADER.FIELDS%20(Subject%20X-None)", b"Subject: outer\r\n\r\n", None),
        (
            "2.HEADER.FIELDS.NOT%20(from%20MIME-Version%20Content-Type%20content-transfer-encoding)",
            b"Subject: inner\r\n\r\n",
            None,
        ),
        ("HEADER.FIELDS%20(X-None)", b"\r\n", None),
    ],
)
def test_every_section_stored_and_decoded(world: World, section: str, stored: bytes, decoded: bytes | None) -> None:
    world.append(FORWARD)
    url = ticket(world, section)
    assert world.fetch(world.joe, url) == string(stored)
    assert world.fetch(world.joe, url, "BODY") == b"(BODY " + string(stored) + b")"
    octets = stored if decoded is None else decoded
    mark = b"~" if b"\0" in octets else b""
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY " + mark + string(octets) + b")"


@pytest.mark.parametrize("section", ["3", "1.1", "2.2", "2.1.1", "1.HEADER", "1.TEXT", "2.1.HEADER", "0"])
def test_a_missing_section_is_nil(world: World, section: str) -> None:
    world.append(FORWARD)
    if section != "0":
        assert world.fetch(world.joe, ticket(world, section), "BINARY") == b"NIL"
        return
    said = world.joe.receive_data(
        b'g GENURLAUTH "imap://joe@imap.example.com/INBOX/;UID=2/;SECTION=0;URLAUTH=anonymous" INTERNAL\r\n'
    )
    assert said.startswith(b"g BAD ")


@pytest.mark.parametrize(
    ("section", "stored", "decoded"),
    [
        ("1", b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "QUOTED-PRINTABLE" 12 1 ', b'"BINARY" 5 0 '),
        ("2.1", b'("AUDIO" "BASIC" NIL NIL NIL "BASE64" 4 ', b'"BINARY" 3 '),
        ("2", b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" %d (' % (len(INNER) - 2), b'"7BIT" %d (' % (len(INNER) - 2)),
        ("", b'("MESSAGE" "RFC822" NIL NIL NIL "8BIT" %d (' % len(FORWARD), b'"BINARY" %d (' % len(FORWARD)),
        ("TEXT", b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "8BIT" ', b'"BINARY" '),
        ("HEADER.FIELDS%20(Subject)", b'("APPLICATION" "OCTET-STREAM" NIL NIL NIL "8BIT" 18 ', b'"BINARY" 18 '),
    ],
)
def test_bodypartstructure_describes_the_returned_octets(
    world: World, section: str, stored: bytes, decoded: bytes
) -> None:
    world.append(FORWARD)
    url = ticket(world, section)
    for params in ("BODYPARTSTRUCTURE", "BODYPARTSTRUCTURE BODY", "BODY BODYPARTSTRUCTURE"):
        assert world.fetch(world.joe, url, params).startswith(b"(BODYPARTSTRUCTURE " + stored)
    assert decoded in world.fetch(world.joe, url, "BINARY BODYPARTSTRUCTURE").split(b"\r\n")[0]


def test_sections_of_a_message_without_mime(world: World) -> None:
    world.append(b"Subject: old\r\n\r\nline\r\n")
    assert world.fetch(world.joe, ticket(world, "1"), "BODYPARTSTRUCTURE BINARY") == (
        b'(BODYPARTSTRUCTURE ("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 6 1 NIL NIL NIL NIL))'
        b" (BINARY {6}\r\nline\r\n)"
    )
    assert world.fetch(world.joe, ticket(world, "TEXT")) == b"{6}\r\nline\r\n"
    assert world.fetch(world.joe, ticket(world, "2")) == b"NIL"


@pytest.mark.parametrize(
    ("encoding", "body", "stored"),
    [
        ("base64", b"A", 1),
        ("base64", b"!!***", 5),
        ("quoted-printable", b"=ZZ", 3),
        ("x-blurdybloop", b"abc", 3),
    ],
)
def test_an_undecodable_part_is_binary_nil_with_the_stored_structure(
    world: World, encoding: str, body: bytes, stored: int
) -> None:
    world.append(b"Content-Type: image/png\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (encoding.encode(), body))
    url = ticket(world, "1")
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY NIL)"
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE BINARY") == (
        b'(BODYPARTSTRUCTURE ("IMAGE" "PNG" NIL NIL NIL "%s" %d NIL NIL NIL NIL)) (BINARY NIL)'
        % (encoding.upper().encode(), stored)
    )
    assert world.fetch(world.joe, url, "BODY") == b"(BODY " + string(body) + b")"


def test_an_empty_part_is_empty_in_every_form(world: World) -> None:
    world.append(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: audio/basic\r\n\r\n\r\n--b--\r\n"
    )
    url = ticket(world, "1")
    structure = b'(BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "%s" 0 NIL NIL NIL NIL))'
    assert world.fetch(world.joe, url) == b'""'
    assert world.fetch(world.joe, url, "BODY") == b'(BODY "")'
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE BINARY") == structure % b"7BIT" + b' (BINARY "")'
    assert world.fetch(world.joe, url, "BODYPARTSTRUCTURE") == structure % b"7BIT"


@pytest.mark.parametrize(
    ("params", "given"), [("BINARY", False), ("BODY", False), ("", False), ("BODYPARTSTRUCTURE", True)]
)
def test_a_too_large_part_is_refused_but_its_structure_is_sent(
    make_world: type[World], params: str, given: bool
) -> None:
    world = make_world(config=replace(make_world().config, tickets=TicketPolicy(max_part=511)))
    url = world.authorise("anonymous")
    assert (world.fetch(world.joe, url, params) != b"NIL") is given
    assert given or "larger than the policy allows" in world.log[-1]
    range_ = "/;PARTIAL=1.511"
    part = world.authorise("anonymous", f"imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=2{range_};URLAUTH=")
    assert world.fetch(world.joe, part, params) != b"NIL"


@settings(max_examples=30)
@given(
    st.binary(max_size=300_000 // 100).map(lambda some: some * 100),
    st.integers(0, 300_100),
    st.one_of(st.none(), st.integers(1, 300_100)),
)
def test_partial_is_a_range_of_the_decoded_octets(content: bytes, offset: int, length: int | None) -> None:
    client = LoopbackServer(ServerConfig(passwords={"joe": "secret"})).connect()
    client.receive_data(b"l LOGIN joe secret\r\n")
    message = b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(content)
    client.receive_data(b"p APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
    partial = str(offset) if length is None else f"{offset}.{length}"
    rump = f"imap://joe@imap.example.com/INBOX/;UID=1/;SECTION=1/;PARTIAL={partial};URLAUTH=anonymous"
    url = client.receive_data(f'g GENURLAUTH "{rump}" INTERNAL\r\n'.encode()).decode().split('"')[1]
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(client.receive_data(f'u URLFETCH ("{url}" BINARY)\r\n'.encode()))
    event = framer.next_event()
    assert isinstance(event, LineReceived)
    literals = [part.data for part in event.line.parts if isinstance(part, ImapLiteral)]
    wanted = content[offset : None if length is None else offset + length]
    assert literals == ([wanted] if wanted else [])


@pytest.mark.parametrize("body", [b"aGV!sbG8=", b"aGVsbG8", b"aGVsbG8=\r\n-- \r\nfooter text\r\n"])
def test_base64_that_is_not_to_the_letter_is_sent_decoded_and_logged(world: World, body: bytes) -> None:
    world.append(b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body)
    url = ticket(world, "1")
    assert world.fetch(world.joe, url, "BINARY") == b"(BINARY {5}\r\nhello)"
    assert world.log[-1] == "URLFETCH BINARY: base64 is decoded that is not to the letter (RFC 2045, 6.8)"
    assert world.fetch(world.joe, url, "BODY") == b"(BODY " + string(body) + b")"


@pytest.mark.parametrize(("encoding", "shown"), [("7bit", "7BIT"), ("8bit", "8BIT"), ("binary", "BINARY")])
def test_an_encoding_that_leaves_the_octets_keeps_its_name(world: World, encoding: str, shown: str) -> None:
    world.append(b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: %s\r\n\r\nabc" % encoding.encode())
    said = world.fetch(world.joe, ticket(world, "1"), "BODYPARTSTRUCTURE BINARY")
    assert b'NIL NIL NIL "%s" 3 NIL' % shown.encode() in said


def test_a_part_beyond_the_limits_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mime, "MAX_PARTS", 2)
    world.append(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n")
    assert world.fetch(world.joe, ticket(world, "2"), "BINARY") == b"NIL"
    assert world.fetch(world.joe, ticket(world, "1"), "BINARY") == b"(BINARY {1}\r\n1)"
    world.joe.receive_data(b"s SELECT INBOX\r\n")
    for item in (b"BODY.PEEK[2]", b"BINARY.PEEK[2]", b"BINARY.SIZE[2]"):
        said = world.joe.receive_data(b"f FETCH 2 (UID %s)\r\n" % item)
        assert said.startswith(b"* 2 FETCH (UID 2)\r\nf NO [LIMIT] a message has at most ")
