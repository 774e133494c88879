from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.imap.bodystructure import UNREADABLE, BodyStructure, Disposition, Envelope, MailAddress
from lemonade_wire.imap.command import line_of
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.framing import ImapLiteral, LogicalLine, Part
from lemonade_wire.imap.lexer import Lexer


def read(*parts: Part) -> BodyStructure:
    return BodyStructure.from_value(Lexer(LogicalLine.of(*parts)).value())


# RFC 3501, sections 7.4.2 and 8.
RFC_MULTIPART = (
    b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
    b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" '
    b'"Compiler diff" "BASE64" 4554 73) "MIXED")'
)
RFC_TEXT = b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92)'
NESTED = (
    b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 1)'
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 900 ("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "sub" '
    b'(("Terry Gray" NIL "gray" "cac.washington.edu")) NIL NIL NIL NIL NIL NIL "<B27397@cac.washington.edu>") '
    b'(("TEXT" "HTML" NIL NIL NIL "7BIT" 7 2)("AUDIO" "BASIC" NIL NIL NIL "BASE64" 100) "MIXED") 30)'
    b'(("AUDIO" "WAV" NIL NIL NIL "BASE64" 10) "ALTERNATIVE")'
    b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 50 NIL ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 1) 3)'
    b' "MIXED")'
)


def test_rfc_3501_examples() -> None:
    root = read(RFC_MULTIPART)
    assert [(number, part.content_type, part.size, part.lines) for number, part in root.walk()] == [
        ("1", "text/plain", 1152, 23),
        ("2", "text/plain", 4554, 73),
    ]
    second = root.parts[1]
    assert second.param("name") == "cc.diff"
    assert second.param("missing") is None
    assert (second.id, second.description) == ("<960723163407.20117h@cac.washington.edu>", "Compiler diff")
    assert [number for number, _ in read(RFC_TEXT).walk()] == ["1"]
    assert line_of(root.write(extended=False)).text == RFC_MULTIPART


def test_walk_descends_into_messages() -> None:
    root = read(NESTED)
    assert [(number, part.content_type) for number, part in root.walk()] == [
        ("1", "text/plain"),
        ("2", "message/rfc822"),
        ("2.1", "text/html"),
        ("2.2", "audio/basic"),
        ("3", "multipart/alternative"),
        ("3.1", "audio/wav"),
        ("4", "message/rfc822"),
        ("4.1", "text/plain"),
    ]
    message = root.parts[1]
    assert message.lines == 30
    assert message.envelope == Envelope(
        "Wed, 17 Jul 1996 02:23:25 -0700 (PDT)",
        "sub",
        (MailAddress("Terry Gray", None, "gray", "cac.washington.edu"),),
        message_id="<B27397@cac.washington.edu>",
    )


def test_extension_data_is_read_up_to_the_location() -> None:
    part = read(
        b'("AUDIO" "WAV" ("NAME" ',
        ImapLiteral.of("ä.wav".encode()),
        b') NIL NIL "BASE64" 87256 "md5sum" ("ATTACHMENT" ("FILENAME" "a.wav")) ("en" "de") "http://x" ("new" (1 2)))',
    )
    assert part.param("NAME") == "ä.wav"
    assert part.md5 == "md5sum"
    assert part.disposition == Disposition("ATTACHMENT", (("FILENAME", "a.wav"),))
    assert (part.language, part.location) == (("en", "de"), "http://x")
    assert read(b'("AUDIO" "WAV" NIL NIL NIL "BASE64" 8 NIL NIL "en" NIL)').language == ("en",)
    root = read(b'(("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 1) "MIXED" ("BOUNDARY" "xyz") ("INLINE" NIL) NIL)')
    assert root.param("boundary") == "xyz"
    assert root.disposition == Disposition("INLINE")


def test_the_drafts_examples_are_read_in_spite_of_their_errors() -> None:
    # E-9: no subtype of the multipart; E-10: two NILs instead of three.
    root = read(
        b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)("VIDEO" "MPEG" NIL NIL "BASE64" 655350))'
    )
    assert root.content_type == "multipart/mixed"
    assert [(n, p.content_type, p.encoding, p.size) for n, p in root.walk()] == [
        ("1", "text/plain", "7BIT", 1152),
        ("2", "video/mpeg", "BASE64", 655350),
    ]
    # E-33: `()` for no parameters, and a blank before the closing parenthesis.
    part = read(b'("VIDEO" "MPEG" () NIL NIL "BINARY" 655350 )')
    assert (part.params, part.size) == ((), 655350)
    assert line_of(part.write(extended=False)).text == b'("VIDEO" "MPEG" NIL NIL NIL "BINARY" 655350)'


@pytest.mark.parametrize(
    "octets",
    [
        b"()",
        b"NIL",
        b'"TEXT"',
        b'("TEXT" "PLAIN")',
        b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" x)',
    ],
)
def test_malformed_structures_are_refused(octets: bytes) -> None:
    with pytest.raises(ImapParseError):
        read(octets)


TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
WORDS = st.sampled_from(["plain", 'a"b', "x\\y", "ä", "1"])
PARAMS = st.lists(st.tuples(WORDS, WORDS), max_size=2).map(tuple)
LEAVES = st.builds(
    BodyStructure,
    type=st.sampled_from(["AUDIO", "VIDEO"]),
    subtype=WORDS,
    params=PARAMS,
    id=TEXTS,
    description=TEXTS,
    encoding=st.sampled_from(["BASE64", "7BIT"]),
    size=st.integers(0, 2**40),
    md5=TEXTS,
    disposition=st.none() | st.builds(Disposition, WORDS, PARAMS),
    language=st.lists(WORDS, max_size=2).map(tuple),
    location=TEXTS,
)
ADDRESSES = st.none() | st.lists(st.builds(MailAddress, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=2).map(tuple)
ENVELOPES = st.builds(Envelope, TEXTS, TEXTS, ADDRESSES, ADDRESSES, to=ADDRESSES, message_id=TEXTS)
TREES = st.recursive(
    LEAVES,
    lambda children: st.one_of(
        st.builds(
            lambda parts, params, place: BodyStructure(
                "MULTIPART", "MIXED", params, encoding="", parts=tuple(parts), language=("en",), location=place
            ),
            st.lists(children, min_size=1, max_size=3),
            PARAMS,
            TEXTS,
        ),
        st.builds(
            lambda body, envelope: BodyStructure("MESSAGE", "RFC822", size=9, lines=3, envelope=envelope, body=body),
            children,
            ENVELOPES,
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_any_tree_survives_writing_and_reading(tree: BodyStructure) -> None:
    assert read(*line_of(tree.write()).parts) == tree


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"(", b")", b" ", b'"A"', b"NIL", b"5", b'"MESSAGE"', b'"RFC822"', b'("TEXT" "X" NIL NIL NIL']
        ),
        max_size=25,
    ).map(b" ".join)
)
def test_anything_raises_only_the_documented_error(octets: bytes) -> None:
    try:
        list(read(b"(" + octets).walk())
    except ImapParseError:
        return


GOOD = b'("AUDIO" "BASIC" NIL NIL NIL "BASE64" 100)'


@pytest.mark.parametrize(
    "broken",
    [
        b'("TEXT" NIL NIL NIL "7BIT" 5)',
        b'("AUDIO" "WAV" NIL NIL NIL "BASE64" -1)',
        b'("AUDIO" "WAV" NIL NIL NIL "BASE64" 9223372036854775808)',
        b'(("A"))',
        b"NIL",
        b"()",
    ],
)
def test_a_broken_part_spoils_only_itself(broken: bytes) -> None:
    root = read(b"(" + GOOD + broken + GOOD + b' "MIXED")')
    assert list(root.walk()) == [("1", root.parts[0]), ("2", root.parts[1]), ("3", root.parts[2])]
    assert [part.content_type for part in (root.parts[0], root.parts[2])] == ["audio/basic"] * 2
    assert not root.parts[1].content_type.startswith("audio/")
    assert (root.subtype, root.parts[2]) == ("MIXED", root.parts[0])


def test_a_message_whose_body_is_nil_spoils_only_its_body() -> None:
    root = read(b'(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 5 NIL NIL 3)' + GOOD + b' "MIXED")')
    assert (root.parts[0].lines, root.parts[0].body) == (3, UNREADABLE)
    assert root.parts[1].content_type == "audio/basic"


@pytest.mark.parametrize("params", [b'("name" NIL)', b'(NIL "x")', b'("name" ("x"))', b'("name")'])
def test_a_parameter_without_a_value_spoils_only_itself(params: bytes) -> None:
    part = read(b'("AUDIO" "WAV" ' + params + b' NIL NIL "BASE64" 7 NIL ("attachment" ' + params + b") NIL NIL)")
    assert (part.params, part.size, part.disposition) == ((), 7, Disposition("attachment"))
    whole = read(b'("AUDIO" "WAV" ("a" "b" "name" NIL "c" "d") NIL NIL "BASE64" 7)')
    assert whole.params == (("a", "b"), ("c", "d"))


@pytest.mark.parametrize(
    ("octets", "is_opaque"),
    [
        (b'("MESSAGE" "GLOBAL" NIL NIL NIL "8BIT" 13)', True),
        (b'("MESSAGE" "GLOBAL" NIL NIL NIL "8BIT" 13 NIL NIL NIL NIL)', True),
        (b'("MESSAGE" "GLOBAL" NIL NIL NIL "8BIT" 13 "md5" ("inline" NIL) ("en") "here")', True),
        (b'("MESSAGE" "GLOBAL" NIL NIL NIL "8BIT" 13 NIL ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 5 1) 3)', False),
    ],
)
def test_message_global_is_opaque_unless_its_structure_follows(octets: bytes, is_opaque: bool) -> None:
    part = read(octets)
    assert (part.content_type, part.size, part.body is None) == ("message/global", 13, is_opaque)
