from __future__ import annotations

from pathlib import Path

import pytest
from OpenSSL import SSL

from lemonade_wire.tls.endpoint import ClientTls, tls_name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("IMAP.example.com.", "imap.example.com"),
        ("media_server", "media_server"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("m\N{LATIN SMALL LETTER U WITH DIAERESIS}ller.example", "xn--mller-kva.example"),
    ],
)
def test_hosts_as_certificates_name_them(host: str, name: str) -> None:
    assert tls_name(host) == name


@pytest.mark.parametrize("host", ["", ".", "\N{SNOWMAN WITHOUT SNOW}" * 70])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(ValueError, match="name of a host"):
        tls_name(host)


def test_a_file_of_authorities_is_needed_where_one_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    with pytest.raises(OSError, match="No such file"):
        ClientTls(wrong)
    wrong.write_text("nothing")
    with pytest.raises(ValueError, match="holds no certificate"):
        ClientTls(wrong)


def test_openssl_says_why() -> None:
    handshake = ClientTls().handshake("imap.example.com")
    assert handshake.why(SSL.Error([("SSL routines", "", "wrong version number")])) == "wrong version number"
    assert handshake.why(SSL.Error()) == ""
    assert handshake.why(ConnectionError("gone")) == "gone"
