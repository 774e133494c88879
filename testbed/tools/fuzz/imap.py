"""Targets for IMAP: commands at the server, responses at the client, URLs, names, values of METADATA, SASL."""

from __future__ import annotations

from fuzz.target import FuzzTarget, in_pieces, require
from lemonade_imap.config import ServerConfig
from lemonade_imap.grammar.commands import Authenticate
from lemonade_imap.sasl import ClientFirst, SaslRefused, ScramVerifier, ServerFirst, read_anonymous, read_plain
from lemonade_imap.serving.listing import Pattern
from lemonade_imap.session import CommandReceived, ImapSession, MessageComing
from lemonade_wire.imap import mutf7
from lemonade_wire.imap.client import MAX_FETCH_LINE, ImapClient
from lemonade_wire.imap.command import Joined, line_of, login
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import FramerRole, LineFramer, LineReceived, LogicalLine
from lemonade_wire.imap.mediaservers import MediaServers
from lemonade_wire.imap.response import FetchResponse, parse_response
from lemonade_wire.imap.section import FetchItem
from lemonade_wire.imap.url import ImapUrl
from lemonade_wire.sasl import PrepError, SaslError, ScramSha256, saslprep, trace_information

_TICKET = b"imap://joe@example.com/INBOX/;UIDVALIDITY=3/;UID=20/;SECTION=1.2;EXPIRE=2026-12-01T00:00:00Z;URLAUTH="
_EARLY = ServerConfig().connections.early
_VERIFIER = ScramVerifier.make("secret", b"salt", 1)
_NONCE = "server"


def _command(octets: bytes, user: str | None) -> None:
    session = ImapSession(ServerConfig(tls=True))
    if user is not None:
        session.log_in(user)
    for piece in in_pieces(octets):
        session.receive_data(piece)
        while (event := session.next_event()) is not None:
            if isinstance(event, CommandReceived) and isinstance(event.command, Authenticate):
                session.await_sasl(event.tag, event.command)
            if isinstance(event, MessageComing) and len(octets) % 2:
                session.refuse_literal()
        require(session.buffered <= _EARLY, "more is buffered than a connection may hold before login")


def _early_command(octets: bytes) -> None:
    _command(octets, None)


def _late_command(octets: bytes) -> None:
    _command(octets, "joe")


def _client(octets: bytes) -> None:
    client = ImapClient(long_fetch=bool(len(octets) % 2))
    client.send(login("joe", "secret"))
    for piece in in_pieces(octets):
        client.receive_data(piece)
        client.data_to_send()
    require(client._framer.buffered <= MAX_FETCH_LINE, "a line is buffered without a bound")


def _lines(octets: bytes) -> list[LogicalLine]:
    framer = LineFramer(FramerRole.CLIENT)
    framer.receive_data(octets)
    lines = []
    while (event := framer.next_event()) is not None:
        if isinstance(event, LineReceived):
            lines.append(event.line)
    return lines


def _response(octets: bytes) -> None:
    for line in _lines(octets):
        require(_lines(line.octets())[:1] == [line] or not line.literals, "a line with a literal is written as another")
        response = parse_response(line)
        if isinstance(response, FetchResponse) and response.structure is not None:
            written = b"* 1 FETCH (BODYSTRUCTURE " + _joined(response.structure.write()) + b")\r\n"
            (again,) = (parse_response(each) for each in _lines(written))
            require(isinstance(again, FetchResponse) and again.structure is not None, "a structure is not read again")
            list(response.structure.walk())


def _joined(written: Joined) -> bytes:
    return line_of(written).octets().removesuffix(b"\r\n")


def _url(octets: bytes) -> None:
    url = ImapUrl.parse(octets, opaque_token=bool(len(octets) % 2))
    require(ImapUrl.parse(url.text, opaque_token=bool(len(octets) % 2)) == url, "the text of a URL is another URL")
    if url.token:
        require(url.token not in url.redacted.removeprefix(url.rump), "a redacted URL has its token")


def _media_servers(octets: bytes) -> None:
    for entry in MediaServers.parse(octets).sip:
        require(entry.is_sip, "a server of another kind is listed as one of SIP")


def _pattern(octets: bytes) -> None:
    text, _, name = octets.decode("latin-1").partition("\n")
    pattern = Pattern("", text)
    pattern.matches(name)
    require(pattern.compared <= 2 * len(name), "a name is compared more than twice")
    if not set(name) & set("*%") and name.upper() != "INBOX" and len(name) <= 1000:
        require(Pattern("", name).matches(name) or name.upper().startswith("INBOX/"), "a name does not match itself")


def _mailbox_name(octets: bytes) -> None:
    name = mutf7.decode(octets)
    require(mutf7.decode(mutf7.encode(name)) == name, "a name changes when it is written and read")


def _fetch_item(octets: bytes) -> None:
    FetchItem.parse(octets.decode("latin-1"))


def _sasl_server(octets: bytes) -> None:
    first, _, final = octets.partition(b"\x00\x00")
    for read in (read_plain, read_anonymous):
        try:
            read(octets)
        except SaslRefused:
            continue
    server = ServerFirst.answer(ClientFirst.read(first), _VERIFIER, _NONCE)
    require(server.message.count(b",") == 2, "the client's octets make fields of the challenge")
    server.finish(final)


def _sasl_client(octets: bytes) -> None:
    client = ScramSha256("joe", "secret", "client")
    for challenge in octets.split(b"\n"):
        client.answer(challenge)
    require(not client.complete, "a server without the password is taken for one that has it")


def _prepared(octets: bytes) -> None:
    text = octets.decode("utf-8", "replace")
    prepared = saslprep(text)
    require(saslprep(prepared) == prepared, "SASLprep of a prepared text changes it")
    trace_information(text)


TARGETS = (
    FuzzTarget(
        "imap-command-before-login",
        _early_command,
        [
            b"\x08a LOGIN joe secret\r\nb LOGIN {3}\r\njoe {6}\r\nsecret\r\n",
            b"\x03a AUTHENTICATE PLAIN\r\nAGpvZQBzZWNyZXQ=\r\nb STARTTLS\r\n",
            b'\x7fa CAPABILITY\r\nb ID ("name" "x" "version" NIL)\r\nc NOOP\r\nd LOGOUT\r\n',
            b"\xffa AUTHENTICATE SCRAM-SHA-256 biwsbj1qb2Uscj1hYmM=\r\n*\r\nb AUTHENTICATE ANONYMOUS =\r\n",
        ],
    ),
    FuzzTarget(
        "imap-command",
        _late_command,
        [
            b'\xffa APPEND INBOX (\\Seen) "22-Nov-2026 10:00:00 +0000" {3+}\r\nabc {2}\r\nxy\r\n',
            b'\x10a APPEND x CATENATE (URL "/INBOX/;UID=1" TEXT ~{3+}\r\nabc URL "imap://h/x")\r\n',
            b'\xffa GENURLAUTH "%sanonymous" INTERNAL\r\nb URLFETCH ("%ssubmit+joe" BINARY BODYPARTSTRUCTURE)\r\n'
            % (_TICKET, _TICKET),
            b'\xffa SETMETADATA "" (/shared/comment {2+}\r\nok /private/x NIL)\r\n'
            b'b GETMETADATA (DEPTH 1) "" /shared\r\n',
            b'\xffa LIST "" (INBOX *) RETURN (CHILDREN)\r\nb LSUB "" "%"\r\nc STATUS "a b" (MESSAGES UIDNEXT)\r\n',
            b'\xffa UID SEARCH RETURN (MIN ALL) CHARSET UTF-8 OR NOT SEEN (HEADER "x" {1+}\r\ny SINCE 1-Feb-2026)\r\n',
            b"\xffa FETCH 1:*,3 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (FROM TO)]<0.10>) (CHANGEDSINCE "
            b"5)\r\nb RESETKEY\r\n",
            b"\xffa SELECT INBOX (CONDSTORE)\r\nb UID STORE 1 (UNCHANGEDSINCE 3) +FLAGS.SILENT (\\Seen "
            b"x)\r\nc IDLE\r\nDONE\r\n",
            b"\xffa RENAME a b\r\nb COPY 1:2 &AOQ-\r\nc UID EXPUNGE 4\r\nd ENABLE CONDSTORE\r\n"
            b"e MOVE 1 x\r\nf NAMESPACE\r\n",
        ],
    ),
    FuzzTarget(
        "imap-client",
        _client,
        [
            b"\xff* OK [CAPABILITY IMAP4rev1 SASL-IR] hello\r\n* SEARCH 1 2\r\na1 OK [CAPABILITY IMAP4rev1] in\r\n",
            b"\x07* PREAUTH x\r\n+ go\r\n* 1 FETCH (BODY[1] {3}\r\nabc UID 4)\r\n* BYE x\r\na1 NO [ALERT] y\r\n",
        ],
    ),
    FuzzTarget(
        "imap-response",
        _response,
        [
            b'* 1 FETCH (UID 3 BODYSTRUCTURE (("TEXT" "PLAIN" ("CHARSET" "x") NIL NIL "7BIT" 3 1 NIL NIL NIL NIL)'
            b'("AUDIO" "WAV" NIL "<i>" "d" "BASE64" 99 NIL ("ATTACHMENT" ("FILENAME" "a")) ("de" "en") '
            b'"l") "MIXED"))\r\n',
            b'* 2 FETCH (BODYSTRUCTURE ("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 9 ("d" "s" (("n" NIL "m" '
            b'"h")) NIL NIL NIL'
            b' NIL NIL NIL "i") ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1 1) 2))\r\n',
            b'* URLFETCH "%s:internal:1234" (BODYPARTSTRUCTURE ("AUDIO" "BASIC" NIL NIL NIL "BASE64" '
            b"4)) (BINARY ~{2}\r\nab)\r\n" % _TICKET,
            b'* GENURLAUTH "%ssubmit+joe:internal:12"\r\n* METADATA "" (/shared/a {2}\r\nxy /private/b NIL)\r\n'
            % _TICKET,
            b'* LIST (\\HasNoChildren) "/" "a b"\r\n* LSUB () NIL x\r\n* 4 EXISTS\r\n'
            b"* SEARCH 1 2 (MODSEQ 9)\r\n* FLAGS (\\Seen)\r\n",
            b"a OK [APPENDUID 1 2] done\r\n* BYE x\r\n+ Z29vZA==\r\n* CAPABILITY IMAP4rev1 URLAUTH\r\n"
            b'* ESEARCH (TAG "a") MIN 1\r\n',
        ],
        (ImapParseError,),
    ),
    FuzzTarget(
        "imap-url",
        _url,
        [
            _TICKET + b"submit+joe:internal:0123456789abcdef",
            _TICKET + b"anonymous",
            b"imap://[::1]:143/a%2Fb;UIDVALIDITY=1/;UID=2",
        ],
        (ImapParseError,),
    ),
    FuzzTarget(
        "imap-media-servers",
        _media_servers,
        [b"<sip:annc@a.example.com>;<sip:ivr@b.example.com>:internal:12", b"sip:ivr@a.example.com:internal:1"],
        (ImapParseError,),
    ),
    FuzzTarget("imap-list-pattern", _pattern, [b"a*b%c\nabxbc", b"INBOX/%\ninbox", b"***%%%\nx/y/z"]),
    FuzzTarget("imap-mailbox-name", _mailbox_name, [b"Entw&APw-rfe", b"&AOQ-&-&2D3eAA-"], (ImapParseError,)),
    FuzzTarget(
        "imap-fetch-item",
        _fetch_item,
        [b"BODY[1.2.HEADER.FIELDS.NOT (From To)]<0>", b"BINARY.SIZE[3]", b"RFC822.HEADER"],
        (ImapParseError,),
    ),
    FuzzTarget(
        "imap-sasl-server",
        _sasl_server,
        [
            b"joe\x00joe\x00secret",
            b"n,,n=joe,r=abc\x00\x00c=biws,r=abcserver,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            b"y,a=ann,n=j=2Coe,r=abc,x=1",
        ],
        (SaslRefused,),
    ),
    FuzzTarget(
        "imap-sasl-client",
        _sasl_client,
        [b"r=clientserver,s=c2FsdA==,i=4096\nv=AAAA", b"r=clientx,s=QQ==,i=1\ne=other-error"],
        (SaslError,),
        most=512,
    ),
    FuzzTarget(
        "sasl-preparation", _prepared, ["Ⅸ".encode(), "a\u00adb\u0300".encode(), "شکر@x.y".encode()], (PrepError,)
    ),
)
