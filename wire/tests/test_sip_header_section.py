import pytest

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.header_section import MAX_LINES, MAX_VALUES, Headers


def read(text: str) -> Headers:
    headers, error = Headers.parse(text)
    assert error is None
    return headers


def test_names_compare_without_case_and_in_compact_form() -> None:
    headers = read("v: a\r\nVIA: b\r\ni:c\r\nSubject  : d\r\n")
    assert headers.rows("via") == ["a", "b"]
    assert headers.get("Call-ID") == "c"
    assert headers.get("s") == "d"
    assert "l" not in headers


@pytest.mark.parametrize("line", ["X Y: z", "X(1): z", "Caf\u00e9: z", "<sip:a@b>: z", '"X": z', "X;y : z"])
def test_a_header_whose_name_is_no_token_spoils_itself_alone(line: str) -> None:
    assert read(f"To: a\r\n{line}\r\nFrom: b\r\n").lines == (("To", "a"), ("From", "b"))


@pytest.mark.parametrize("line", ["no colon", "A\rB: c", "A: b\rc", ":"])
def test_a_line_that_is_no_header_is_an_error(line: str) -> None:
    _, error = Headers.parse(f"To: a\r\n{line}\r\nFrom: b\r\n")
    assert error is not None
    assert error.reason == "Bad header line"


def test_folded_lines_are_one() -> None:
    assert read("Subject: I know you're there,\r\n\tpick up\r\n   the phone\r\nA: b\n c\n").lines == (
        ("Subject", "I know you're there, pick up the phone"),
        ("A", "b c"),
    )


def test_lists_are_split_where_the_rfc_allows() -> None:
    headers = read(
        'Contact: "a, b" <sip:c,d@h>, <sip:e@h>\r\nm: <sip:f@h>\r\nWWW-Authenticate: Digest realm="a", nonce="b"\r\n'
    )
    assert headers.items("Contact") == ['"a, b" <sip:c,d@h>', "<sip:e@h>", "<sip:f@h>"]
    assert headers.items("WWW-Authenticate") == ['Digest realm="a", nonce="b"']


@pytest.mark.parametrize("name", ["Via", "Contact", "Route", "Record-Route"])
@pytest.mark.parametrize("value", ["a,,b", "a,", ",", ""])
def test_lists_that_must_not_have_empty_elements(name: str, value: str) -> None:
    with pytest.raises(SipParseError):
        Headers.of([(name, value)]).items(name)


def test_lists_that_may_be_empty() -> None:
    assert Headers.of([("Accept", "")]).items("Accept") == []
    assert Headers.of([("Supported", "a,, b"), ("k", "c")]).items("Supported") == ["a", "b", "c"]


# RFC 3261 section 7.3.3 and the registry of IANA.
@pytest.mark.parametrize(
    ("short", "name"),
    [
        *[
            ("i", "Call-ID"),
            ("m", "Contact"),
            ("e", "Content-Encoding"),
            ("l", "Content-Length"),
            ("c", "Content-Type"),
        ],
        *[("f", "From"), ("s", "Subject"), ("k", "Supported"), ("t", "To"), ("v", "Via"), ("o", "Event")],
        *[("u", "Allow-Events"), ("r", "Refer-To"), ("b", "Referred-By"), ("a", "Accept-Contact")],
        *[("j", "Reject-Contact"), ("d", "Request-Disposition"), ("x", "Session-Expires"), ("y", "Identity")],
        ("n", "Identity-Info"),
    ],
)
def test_compact_forms_stand_for_the_long_names(short: str, name: str) -> None:
    for form in (short, short.upper()):
        assert Headers.of([(form, "value")]).get(name) == "value"
        assert name in Headers.of([(form, "value")])


def test_bad_lines_are_reported_and_the_others_kept() -> None:
    headers, error = Headers.parse("A: 1\r\nno colon\r\nB: 2\r\nC: \r3\r\n")
    assert isinstance(error, SipParseError)
    assert headers.lines == (("A", "1"), ("B", "2"))


def test_headers_are_added_replaced_and_removed() -> None:
    headers = Headers.of([("Via", "1"), ("To", "a"), ("Via", "2")])
    assert headers.with_top("Via", "0").rows("via") == ["0", "1", "2"]
    assert headers.with_set("v", "9").lines == (("v", "9"), ("To", "a"))
    assert headers.with_set("X", "9").lines[-1] == ("X", "9")
    assert headers.without("Via").lines == (("To", "a"),)
    assert headers.only("t").lines == (("To", "a"),)
    assert str(headers.with_added(("X", "y"))) == "Via: 1\r\nTo: a\r\nVia: 2\r\nX: y\r\n"


@pytest.mark.parametrize("line", [("A", "b\r\nC: d"), ("A", "b\n"), ("A b", "c"), ("", "c")])
def test_invalid_names_and_line_breaks_are_refused(line: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="not one line"):
        Headers.of([line])


@pytest.mark.parametrize("name", ["Contact", "Via", "Supported", "Allow"])
def test_a_header_has_at_most_so_many_values(name: str) -> None:
    most = ["a"] * MAX_VALUES
    assert Headers.of([(name, ",".join(most))]).items(name) == most
    assert Headers.of([(name, "a")] * MAX_VALUES).items(name) == most
    for lines in ([(name, ",".join([*most, "a"]))], [(name, "a")] * (MAX_VALUES + 1)):
        with pytest.raises(SipParseError, match="too many values"):
            Headers.of(lines).items(name)


def test_a_header_section_has_at_most_so_many_lines() -> None:
    headers, error = Headers.parse("a: b\r\n" * MAX_LINES)
    assert (len(headers.lines), error) == (MAX_LINES, None)
    headers, error = Headers.parse("a: b\r\n" * (MAX_LINES + 1))
    assert len(headers.lines) == MAX_LINES
    assert str(error) == "too many header lines"
