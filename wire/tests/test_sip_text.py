import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.errors import SipParseError
from lemonade_wire.sip.message.text import find_param, format_params, parse_params, split_outside, unquoted


def test_separators_in_quotes_and_brackets_stay() -> None:
    text = r'"a, \" b" <sip:x,y@h>;p="1,2" , c'
    assert split_outside(text, ",") == [r'"a, \" b" <sip:x,y@h>;p="1,2"', "c"]
    assert split_outside("", ",") == [""]


@pytest.mark.parametrize("text", ['"open', "<open", '"ends with \\'])
def test_unclosed_quotes_and_brackets_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        split_outside(text, ",")


@settings(deadline=None)
@given(st.text('a;,"\\<> ', max_size=30), st.sampled_from(";,"))
def test_pieces_are_what_stands_between_the_separators(text: str, separator: str) -> None:
    try:
        pieces = split_outside(text, separator)
    except SipParseError:
        return
    joined = separator.join(pieces)
    assert joined.replace(" ", "") == text.replace(" ", "")
    assert split_outside(joined, separator) == pieces


@pytest.mark.parametrize(
    ("value", "says"),
    [("token", "token"), ('"a b"', "a b"), (r'"a\"\\b"', 'a"\\b'), ('"', '"'), ('""', ""), ('"a"b', '"a"b')],
)
def test_what_a_quoted_string_says(value: str, says: str) -> None:
    assert unquoted(value) == says


def test_params_keep_order_case_and_quotes() -> None:
    params = parse_params(';Tag=x ; lr; q = "a;b"')
    assert params == (("Tag", "x"), ("lr", None), ("q", '"a;b"'))
    assert format_params(params) == ';Tag=x;lr;q="a;b"'
    assert (find_param(params, "tag"), find_param(params, "LR"), find_param(params, "no")) == ("x", "", None)


@pytest.mark.parametrize("text", [";;", ";a=", ";a b=c", ";=x", ";a;"])
def test_malformed_parameters_are_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        parse_params(text)


@settings(deadline=None)
@given(st.text('a;=", <>\\', max_size=30))
def test_params_round_trip_or_are_refused(text: str) -> None:
    try:
        params = parse_params(text)
    except SipParseError:
        return
    assert parse_params(format_params(params)) == params
