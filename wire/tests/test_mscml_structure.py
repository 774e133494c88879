"""The XML parser of MSCML, and the XML that it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.mscml.structure import MAX_OCTETS, Element, XmlError, parse_xml

BAD = {
    "empty": b"",
    "text": b"hello",
    "cut": b"<a><b/>",
    "crossed": b"<a><b></a></b>",
    "two roots": b"<a/><b/>",
    "DTD": b"<!DOCTYPE a><a/>",
    "entity": b'<!DOCTYPE a [<!ENTITY x "y">]><a b="&x;"/>',
    "billion laughs": b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><a>&y;</a>',
    "external": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    "unknown entity": b'<a b="&nbsp;"/>',
    "strange encoding": b'<?xml version="1.0" encoding="nonsense"?><a/>',
    "encoding of several octets": b'<?xml version="1.0" encoding="shift_jis"?><a/>',
    "no UTF-8": b'<a b="\xff"/>',
    "deep": b"<a>" * 30 + b"</a>" * 30,
    "large": b"<a>" + b" " * MAX_OCTETS + b"</a>",
    "attribute twice": b'<a b="1" b="2"/>',
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_or_unsupported_xml_is_refused(name: str) -> None:
    with pytest.raises(XmlError):
        parse_xml(BAD[name])


def test_elements_attributes_and_the_five_entities() -> None:
    root = parse_xml(b'<?xml version="1.0"?><a x="1&amp;2&#33;"><!-- c --><b y=\'"&lt;\'/>text<b/></a>')
    assert root == Element("a", {"x": "1&2!"}, [Element("b", {"y": '"<'}), Element("b")])


def test_the_error_has_the_elements_read_before_it() -> None:
    with pytest.raises(XmlError) as caught:
        parse_xml(b'<a><b c="1"><d></b></a>')
    assert caught.value.root == Element("a", {}, [Element("b", {"c": "1"}, [Element("d")])])


def test_the_charset_of_the_content_type_goes_first() -> None:
    latin = b'<a b="\xe9"/>'
    assert parse_xml(latin, "iso-8859-1").attributes == {"b": "\xe9"}
    for charset in ("nonsense", "a b", "\0", ""):
        with pytest.raises(XmlError):
            parse_xml(latin, charset)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_can_be_an_attribute(text: str) -> None:
    kept = "".join(one for one in text if one >= " " or one in "\t\n\r").replace("\ufffe", "").replace("\uffff", "")
    assert parse_xml(str(Element("a", {"b": text})).encode()).attributes["b"] == kept


@given(st.binary(max_size=100), st.sampled_from([None, "utf-8", "utf-16", "iso-8859-1", "utf-7", "punycode"]))
def test_anything_raises_only_xml_error(octets: bytes, charset: str | None) -> None:
    for body in (octets, b"<a>" + octets, b'<?xml version="1.0" encoding="' + octets):
        try:
            root = parse_xml(body, charset)
        except XmlError:
            continue
        assert parse_xml(str(root).encode()) == root
