"""The command line of the media server: usage errors exit with 2 and say what is allowed."""

from __future__ import annotations

import pytest

from lemonade_media.cli import main, parser
from lemonade_media.faults.registry import FAULTS
from lemonade_media.fetch.pool import PoolLimits
from lemonade_media.fetch.settings import AllowedHost, ImapAccount, ImapSettings, imap_from
from lemonade_wire.address import read_network
from lemonade_wire.tls import TlsPolicy

PORTS = ["--rtp-ports", "20000-20010"]
LISTEN = ["--listen", "127.0.0.1:5060"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (PORTS, "--listen"),
        ([*LISTEN, "--rtp-ports", "5000"], "A-B is expected"),
        ([*LISTEN, *PORTS, "--fault", "nobye"], "did you mean 'no-bye'"),
        ([*LISTEN, *PORTS, "--resolve", "x"], "is not a rule"),
        ([*LISTEN, *PORTS, "--allow-imap", ":1"], "has no host"),
        ([*LISTEN, *PORTS, "--allow-imap", "h=lan"], "ADDRESS/BITS is expected"),
        ([*LISTEN, *PORTS, "--trust-caller", "joe"], "ADDRESS/BITS is expected"),
        ([*LISTEN, *PORTS, "--imap-tls", "maybe"], "required"),
        ([*LISTEN, *PORTS, "--imap-ca", "/none.pem"], "--imap-ca: "),
        ([*LISTEN, *PORTS, "--imap-contact", "joe"], "is not an e-mail address"),
        ([*LISTEN, *PORTS, "--imap-idle", "-1"], "a number of seconds from 0 to 86400 is expected"),
        ([*LISTEN, *PORTS, "--imap-wait", "0"], "a number of seconds from 0.1 to 3600 is expected"),
        ([*LISTEN, *PORTS, "--imap-connect-time", "x"], "a number of seconds from 0.1 to 3600 is expected"),
        ([*LISTEN, *PORTS, "--imap-fetch-time", "3601"], "a number of seconds from 0.1 to 3600 is expected"),
        ([*LISTEN, *PORTS, "--imap-max-part", "64 MB"], "a number of 1 or more is expected"),
        ([*LISTEN, *PORTS, "--imap-connections-per-server", "many"], "1 or more is expected"),
        ([*LISTEN, *PORTS, "--max-announcement", "14401"], "a number from 1 to 14400 is expected"),
        ([*LISTEN, *PORTS, "--imap-connections", "0"], "1 or more is expected"),
        ([*LISTEN, *PORTS, "--recordings", "/none"], "'/none' is no folder"),
        ([*LISTEN, *PORTS, "--speed", "fast"], "--speed"),
        (["--listen", "0.0.0.0:5060", *PORTS], "reach"),
    ],
)
def test_usage_errors_exit_2_with_what_is_allowed(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments)
    assert exited.value.code == 2
    assert words in capsys.readouterr().err


def test_bad_identity_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*LISTEN, *PORTS, "--imap-user", "hunter2"])
    assert "hunter2" not in capsys.readouterr().err


def test_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        main(["--faults"])
    assert exited.value.code == 0
    listing = capsys.readouterr().out
    assert [line.split()[0] for line in listing.splitlines()] == sorted(FAULTS.faults)


def test_the_options_for_imap_servers_are_read() -> None:
    words = (
        "--allow-imap imap.example.com:143=10.0.0.0/8 --imap-user mediaserver:secret --trust-caller 192.0.2.3 "
        "--trust-caller 2001:db8::/32 --imap-tls required --imap-cleartext-login allowed "
        "--imap-contact admin@example.net --imap-idle 2.5 --imap-connections 7 --imap-connections-per-server 3 "
        "--imap-wait 1.5 --imap-connect-time 2 --imap-fetch-time 20 --imap-max-part 1000000 "
        "--imap-decode allowed"
    )
    read = parser().read([*LISTEN, *PORTS, *words.split()])
    assert imap_from(read) == ImapSettings(
        allow=(AllowedHost("imap.example.com", 143, read_network("10.0.0.0/8")),),
        identity=ImapAccount("mediaserver", "secret"),
        trusted_callers=(read_network("192.0.2.3"), read_network("2001:db8::/32")),
        tls=TlsPolicy.REQUIRED,
        cleartext_login=True,
        contact="admin@example.net",
        decodes_itself=True,
        pool=PoolLimits(per_server=3, in_all=7, idle_seconds=2.5, wait_seconds=1.5),
        connect_seconds=2,
        fetch_seconds=20,
        max_part_octets=1_000_000,
    )


def test_the_defaults_for_imap_servers_are_the_safe_ones() -> None:
    assert imap_from(parser().read([*LISTEN, *PORTS])) == ImapSettings()
    assert ImapSettings().trace == "lemonade-media"
    assert not ImapSettings().cleartext_login
    assert not ImapSettings().trusts("127.0.0.1")
