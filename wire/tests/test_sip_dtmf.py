import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.message.dtmf import PLAIN_TYPE, RELAY_TYPE, DtmfRelay


@pytest.mark.parametrize(
    ("body", "press"),
    [
        (b"Signal=5\r\nDuration=160\r\n", DtmfRelay("5", 160)),
        (b"Signal=5\r\nDuration=160", DtmfRelay("5", 160)),
        (b"Signal=5\nDuration=160\n", DtmfRelay("5", 160)),
        (b"Signal=5\rDuration=160", DtmfRelay("5", 160)),
        (b"\r\nSignal= 5 \r\n\r\nDuration = 160\r\n\r\n", DtmfRelay("5", 160)),
        (b"signal=*", DtmfRelay("*", 250)),
        (b"Duration=100\nSignal=#\nX-Other=1", DtmfRelay("#", 100)),
        (b"Signal=d", DtmfRelay("D")),
        (b"Signal=10", DtmfRelay("*")),
        (b"Signal=11", DtmfRelay("#")),
        (b"Signal=12", DtmfRelay("A")),
        (b"Signal=13\r\nDuration=160\r\n", DtmfRelay("B", 160)),
        (b"Signal=15", DtmfRelay("D")),
        # deviations of other senders: quotes, the key alone, a colon, names of keys, further lines, a final NUL, an
        # invalid duration
        (b'Signal="5"\r\nDuration="160"\r\n', DtmfRelay("5", 160)),
        (b'Signal = "#"', DtmfRelay("#")),
        (b"5", DtmfRelay("5")),
        (b"*\r\n", DtmfRelay("*")),
        (b"11", DtmfRelay("#")),
        (b"Signal: 5\nDuration: 160\n", DtmfRelay("5", 160)),
        (b"Signal=star\r\nDuration=250", DtmfRelay("*", 250)),
        (b"Signal=Pound", DtmfRelay("#")),
        (b"Signal=5\r\nDuration=160\r\n\0", DtmfRelay("5", 160)),
        (b"Signal=5\r\nDuration=160\r\nCallID=x\r\nTone=y\r\n", DtmfRelay("5", 160)),
        (b"Signal=5\r\nDuration=160\r\n-- \xff\r\n", DtmfRelay("5", 160)),
        (b"Signal=5\nDuration=x", DtmfRelay("5", 250)),
        (b"Signal=5\nDuration=99999", DtmfRelay("5", 250)),
        (b"Signal=5\nDuration=0", DtmfRelay("5", 0)),
    ],
)
def test_dtmf_relay_bodies_are_read(body: bytes, press: DtmfRelay) -> None:
    assert DtmfRelay.parse("Application/DTMF-relay", body) == press


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"6", "6"),
        (b"*\r\n", "*"),
        (b"\n#", "#"),
        (b"#\r\n\r\n", "#"),
        (b"a", "A"),
        (b"10", "*"),
        (b"5 \0", "5"),
        (b"Signal=7\n", "7"),
        (b"Signal= 8\r\nDuration= 100\r\n", "8"),
    ],
)
def test_application_dtmf_bodies_are_read(body: bytes, key: str) -> None:
    press = DtmfRelay.parse(PLAIN_TYPE, body)
    assert press is not None
    assert press.key == key


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RELAY_TYPE, b"Signal=16\r\nDuration=160\r\n"),
        (RELAY_TYPE, b"Signal=!"),
        (PLAIN_TYPE, b"16"),
        (PLAIN_TYPE, b"!"),
    ],
)
def test_a_hook_flash_is_no_key(kind: str, body: bytes) -> None:
    assert DtmfRelay.parse(kind, body) is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RELAY_TYPE, b""),
        (RELAY_TYPE, b"x"),
        (RELAY_TYPE, b"5\n6"),
        (RELAY_TYPE, b'Signal="5'),
        (RELAY_TYPE, b'Signal=""'),
        (RELAY_TYPE, b"Duration=5"),
        (RELAY_TYPE, b"Signal="),
        (RELAY_TYPE, b"Signal=17"),
        (RELAY_TYPE, b"Signal=05"),
        (RELAY_TYPE, b"Signal=55"),
        (RELAY_TYPE, b"Signal=5\nSignal=6"),
        (RELAY_TYPE, b"Signal=\xff"),
        (PLAIN_TYPE, b""),
        (PLAIN_TYPE, b"5\n6"),
        (PLAIN_TYPE, b"x"),
        ("text/plain", b"Signal=5"),
    ],
)
def test_invalid_bodies_are_refused(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"key"):
        DtmfRelay.parse(kind, body)


def test_a_key_is_written_as_dtmf_relay() -> None:
    assert bytes(DtmfRelay("6", 200)) == b"Signal=6\r\nDuration=200\r\n"


@settings(deadline=None)
@given(
    st.sampled_from([RELAY_TYPE, PLAIN_TYPE]), st.binary(max_size=30) | st.binary(max_size=9).map(b"Signal=".__add__)
)
def test_nothing_but_the_documented_error(kind: str, body: bytes) -> None:
    try:
        press = DtmfRelay.parse(kind, body)
    except ValueError:
        return
    assert press is None or DtmfRelay.parse(RELAY_TYPE, bytes(press)) == press
