from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.netann import AnnouncementError, AnnouncementUri, service_of
from lemonade_wire.sip.uri import SipUri

URL = (
    "imap://joe@example.com/Voice%20Mail;UIDVALIDITY=385759045/;UID=20/;SECTION=2;EXPIRE=2026-11-22T10:00:00+01:00"
    ";URLAUTH=submit+joe:INTERNAL:01AB"
)
ESCAPED = (
    "imap://joe%40example.com/Voice%2520Mail%3BUIDVALIDITY%3D385759045/%3BUID%3D20/%3BSECTION%3D2"
    "%3BEXPIRE%3D2026-11-22T10:00:00+01:00%3BURLAUTH%3Dsubmit+joe:INTERNAL:01AB"
)


def read(text: str) -> AnnouncementUri:
    return AnnouncementUri.parse(SipUri.parse(text))


def test_play_is_escaped_once_and_decoded_once() -> None:
    assert str(AnnouncementUri(URL).uri("ms.example.net")) == f"sip:annc@ms.example.net;play={ESCAPED}"
    assert read(f"sip:annc@ms.example.net;play={ESCAPED}") == AnnouncementUri(URL)


@pytest.mark.parametrize(
    "form",
    [
        URL.replace(";", "%3B").replace("%20", "%2520"),  # the draft: only semicolons escaped (E-14)
        quote(URL, safe="@:+"),  # RFC 5616: raw @
        ESCAPED.replace("%3B", "%3b").replace("%3D", "%3d"),
        quote(URL, safe=""),
    ],
)
def test_other_ways_to_escape_it(form: str) -> None:
    assert read(f"sip:annc@ms;play={form}").play == URL


def test_a_raw_question_mark_belongs_to_the_url() -> None:
    assert read("sip:annc@ms;play=imap://h/a?b").play == "imap://h/a?b"


def test_parameters_in_any_order_and_case() -> None:
    text = (
        "sip:ANNC@ms;Repeat=3;early=no;LOCALE=en_US;param2=b;delay=250;transport=tcp;play=x"
        ";duration=9000;content-type=audio/wav%3bcodec%3d1;lr"
    )
    assert read(text) == AnnouncementUri("x", 3, 250, 9000, "en_US", "audio/wav;codec=1", ("", "b"))


def test_repeat() -> None:
    assert read("sip:annc@ms;play=x").repeat == 1
    assert read("sip:annc@ms;play=x;repeat=0").repeat == 1
    assert read("sip:annc@ms;play=x;repeat=Forever").repeat is None


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ("", "Mandatory play parameter missing"),
        (";play", "Mandatory play parameter missing"),
        (";play=", "Mandatory play parameter missing"),
        (";play=a;PLAY=b", "More than one play parameter"),
        (";play=a;repeat=often", "Bad repeat parameter"),
        (";play=a;delay=-1", "Bad delay parameter"),
        (";play=a;duration", "Bad duration parameter"),
    ],
)
def test_refused(params: str, reason: str) -> None:
    with pytest.raises(AnnouncementError) as caught:
        read(f"sip:annc@ms{params}")
    assert (caught.value.status, caught.value.reason) == (400, reason)


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("sip:annc@h", "annc"),
        ("sip:ANNC=1@h", "annc"),
        ("sip:%61nnc@h", "annc"),
        ("sip:ivr@h", "ivr"),
        ("sip:Ivr=x@h", "ivr"),
        ("sip:dialog@h", "other"),
        ("sip:anncx@h", "other"),
        ("sip:h", ""),
    ],
)
def test_service_indicator(text: str, service: str) -> None:
    assert service_of(SipUri.parse(text)) == service


@settings(deadline=None)
@given(
    st.builds(
        AnnouncementUri,
        st.text(min_size=1, max_size=30),
        st.integers(1, 9) | st.none(),
        st.integers(0, 99999),
        st.integers(0, 99999) | st.none(),
        st.sampled_from(["", "en_US"]),
        st.sampled_from(["", "audio/basic", "a/b;c=d"]),
    )
)
def test_round_trip(wanted: AnnouncementUri) -> None:
    text = str(wanted.uri("2001:db8::1", 5070))
    assert text.startswith("sip:annc@[2001:db8::1]:5070;play=")
    assert read(text) == wanted
