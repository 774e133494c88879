from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.message.uri import SipUri
from lemonade_wire.sip.netann import MAX_NUMBER, AnnouncementError, AnnouncementUri, service_of

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
def test_other_percent_encodings_of_play_are_read(form: str) -> None:
    assert read(f"sip:annc@ms;play={form}").play == URL


def test_a_raw_question_mark_belongs_to_the_url() -> None:
    assert read("sip:annc@ms;play=imap://h/a?b").play == "imap://h/a?b"


@pytest.mark.parametrize(
    ("sent", "fetched"),
    [
        ("imap://h/a%253Bb", "imap://h/a%3Bb"),  # decoded exactly once
        ("imap://h/a%2523b", "imap://h/a%23b"),
        ("imap://h/a%252523b", "imap://h/a%2523b"),
        ("imap://h/a%3Db%3Bc", "imap://h/a=b;c"),
        ("imap://h/a=b", "imap://h/a=b"),
        ("imap://h/a+b%2Bc", "imap://h/a+b+c"),  # this is not a form encoding: `+` does not mean a blank
        ("%69%6D%61%70%3A//h/a", "imap://h/a"),
        ("%2Fprovisioned%2Fwelcome", "/provisioned/welcome"),
        ("/provisioned/..%2F..%2Fetc", "/provisioned/../../etc"),
        ("/provisioned/%252e%252e", "/provisioned/%2e%2e"),
    ],
)
def test_one_exact_decoding(sent: str, fetched: str) -> None:
    assert read(f"sip:annc@ms;play={sent};repeat=2").play == fetched
    assert read(f"sip:annc@ms;repeat=2;%70LAY={sent}").play == fetched


def test_every_order_of_parameters_gives_the_same() -> None:
    pieces = [
        "play=imap://h/a%3Bb",
        "Content-Type=audio/wav%3bcodec%3d1",
        "DELAY=250",
        "duration=9000",
        "rePeat=%33",
        "locale=en_US",
        "param2=b",
        "ext=a%3Bb",
        "transport=tcp",
        "lr",
    ]
    wanted = AnnouncementUri("imap://h/a;b", 3, 250, 9000, "en_US", "audio/wav;codec=1", ("", "b"))
    turned = [pieces[turn:] + pieces[:turn] for turn in range(len(pieces))]
    for order in (*turned, *(one[::-1] for one in turned)):
        assert read("sip:annc@ms;" + ";".join(order)) == wanted


def test_the_examples_of_rfc_4240() -> None:
    assert read("sip:annc@ms2.example.net;play=http://audio.example.net/allcircuitsbusy.g711").play.startswith(
        "http://"
    )
    uri = read(
        "sip:annc@ms.example.net;play=file://fs.example.net//clips/my-intro.dvi"
        ";content-type=video/mpeg%3bencode%3d314M-25/625-50"  # erratum 154
    )
    assert uri.play == "file://fs.example.net//clips/my-intro.dvi"
    assert uri.content_type == "video/mpeg;encode=314M-25/625-50"


def test_parameters_in_any_order_and_case() -> None:
    text = (
        "sip:ANNC@ms;Repeat=3;early=no;LOCALE=en_US;param2=b;delay=250;transport=tcp;play=x"
        ";duration=9000;content-type=audio/wav%3bcodec%3d1;lr"
    )
    assert read(text) == AnnouncementUri("x", 3, 250, 9000, "en_US", "audio/wav;codec=1", ("", "b"))


def test_repeat_is_read_as_a_number_or_forever() -> None:
    assert read("sip:annc@ms;play=x").repeat == 1
    assert read("sip:annc@ms;play=x;repeat=0").repeat == 1
    assert read("sip:annc@ms;play=x;repeat=Forever").repeat is None
    assert read("sip:annc@ms;play=x;repeat=007").repeat == 7


def test_a_number_of_any_length_is_a_number() -> None:
    assert read(f"sip:annc@ms;play=x;duration={'9' * 6000}").duration == MAX_NUMBER
    assert read(f"sip:annc@ms;play=x;delay={'0' * 6000}5").delay == 5


def test_empty_texts_are_as_good_as_none_and_unknown_ones_may_come_twice() -> None:
    assert read("sip:annc@ms;play=x;locale=;content-type;param1=;ext=1;ext=%;EXT;param10=y;param0=z") == read(
        "sip:annc@ms;play=x"
    )


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
        (";play=a;repeat=", "Bad repeat parameter"),
        (";play=a;repeat=1.5", "Bad repeat parameter"),
        (";play=a;delay=%D9%A3", "Bad delay parameter"),  # a digit, but none of ABNF's
        (";repeat=2;play=a;REPEAT=2", "More than one repeat parameter"),
        (";play=a;param1=x;param%31=y", "More than one param1 parameter"),
        (";play=;play=a", "More than one play parameter"),
        (";play=a%", "Bad play parameter"),
        (";play=a%2", "Bad play parameter"),
        (";play=a%zz", "Bad play parameter"),
        (";play=a%FF", "Bad play parameter"),  # no text
        (";play=a\udcff", "Bad play parameter"),  # an octet of the datagram that is not UTF-8
        (";play=a;locale=\udcff", "Bad locale parameter"),
    ],
)
def test_invalid_parameters_are_refused_by_400(params: str, reason: str) -> None:
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
        st.lists(st.text("aZ9;=%é", min_size=1), max_size=9).map(tuple),
    )
)
def test_a_written_uri_is_read_as_the_same_announcement(wanted: AnnouncementUri) -> None:
    text = str(wanted.uri("2001:db8::1", 5070))
    assert text.startswith("sip:annc@[2001:db8::1]:5070;play=")
    assert read(text) == wanted
