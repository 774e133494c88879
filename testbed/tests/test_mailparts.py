"""The parts of a mail by their sections, as Python's `email` package reads them."""

from __future__ import annotations

from lemonade_testbed.mailparts import parts_by_section, read_mail

PLAIN = b"Subject: x\nContent-Type: Text/Plain; Charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\na=3Db\n"
NESTED = (
    b'Content-Type: multipart/mixed; boundary="o"\n\n--o\n'
    b'Content-Type: multipart/alternative; boundary="i"\n\n--i\n\none\n--i\nContent-Type: text/html\n\n<b>\n--i--\n'
    b"--o\nContent-Type: message/rfc822\n\nSubject: in\nContent-Type: audio/basic\n"
    b"Content-Transfer-Encoding: base64\n\nAAEC\n--o\n"
    b"Content-Type: audio/wav\nContent-Transfer-Encoding: x-none\n\n??\n--o--\n"
)


def test_a_mail_without_parts_is_section_1() -> None:
    (section,), (part,) = parts_by_section(PLAIN).keys(), parts_by_section(PLAIN).values()
    assert section == "1"
    assert (part.content_type, part.params, part.encoding) == ("text/plain", {"charset": "utf-8"}, "QUOTED-PRINTABLE")
    assert (part.stored, part.decoded) == (b"a=3Db\r\n", b"a=b\r\n")


def test_sections_count_parts_of_parts_and_of_messages() -> None:
    parts = parts_by_section(NESTED)
    assert list(parts) == ["1", "1.1", "1.2", "2", "2.1", "3"]
    assert parts["1"].is_multipart
    assert parts["1"].stored == b"--i\r\n\r\none\r\n--i\r\nContent-Type: text/html\r\n\r\n<b>\r\n--i--"
    assert parts["1.1"].content_type == "text/plain"
    assert (parts["1.2"].content_type, parts["1.2"].stored) == ("text/html", b"<b>")
    assert (parts["2"].content_type, parts["2.1"].decoded) == ("message/rfc822", b"\0\1\2")
    assert parts["3"].decoded is None
    assert [part.content_type for part in read_mail(NESTED).parts][1] == "message/rfc822"
