import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_wire.sip.dtmf import PLAIN_TYPE, RELAY_TYPE, DtmfRelay


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
        (b"Signal=15", DtmfRelay("D")),
    ],
)
def test_relay(body: bytes, press: DtmfRelay) -> None:
    assert DtmfRelay.parse("Application/DTMF-relay", body) == press


@pytest.mark.parametrize(
    ("body", "key"), [(b"6", "6"), (b"*\r\n", "*"), (b"\n#", "#"), (b"a", "A"), (b"10", "*"), (b"Signal=7\n", "7")]
)
def test_plain(body: bytes, key: str) -> None:
    assert DtmfRelay.parse(PLAIN_TYPE, body).key == key


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RELAY_TYPE, b""),
        (RELAY_TYPE, b"5"),
        (RELAY_TYPE, b"Duration=5"),
        (RELAY_TYPE, b"Signal="),
        (RELAY_TYPE, b"Signal=16"),
        (RELAY_TYPE, b"Signal=55"),
        (RELAY_TYPE, b"Signal=5\nSignal=6"),
        (RELAY_TYPE, b"Signal=5\nDuration=x"),
        (RELAY_TYPE, b"Signal=5\nDuration=99999"),
        (RELAY_TYPE, b"Signal=\xff"),
        (PLAIN_TYPE, b""),
        (PLAIN_TYPE, b"5\n6"),
        (PLAIN_TYPE, b"x"),
        ("text/plain", b"Signal=5"),
    ],
)
def test_bad(kind: str, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"key|line|duration|Signal"):
        DtmfRelay.parse(kind, body)


def test_written() -> None:
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
    assert DtmfRelay.parse(RELAY_TYPE, bytes(press)) == press
