from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from lemonade_imap.annotations import AnnotationLimits
from lemonade_imap.cli import config_from, parser
from lemonade_imap.config import ServerConfig
from lemonade_imap.policy import TicketPolicy
from lemonade_wire.nodecli import NodeOptions


def config(tmp_path: Path, *more: str) -> ServerConfig:
    basic = ["--listen", "127.0.0.1:0", "--name", "imap.example.com", "--user", "ms:sesame", "--data", str(tmp_path)]
    options = parser().read([*basic, *more])
    return config_from(options, NodeOptions.from_namespace("imap", options))


def test_without_options_everything_is_allowed(tmp_path: Path) -> None:
    made = config(tmp_path)
    assert (made.tickets, made.annotations) == (TicketPolicy(), AnnotationLimits())


def test_options_become_the_policy(tmp_path: Path) -> None:
    made = config(
        tmp_path,
        *("--anonymous-life", "7200", "--fetch-from", "192.0.2.0/24", "--fetch-from", "2001:db8::1"),
        *("--fetch-user", "ms", "--max-part", "1000", "--fetch-rate", "60", "--authorise-rate", "30"),
        *("--refusals", "5", "--max-annotation", "1024", "--max-annotations", "10", "--private-annotations", "never"),
        *("--name", "[2001:DB8::0:1]"),
    )
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::1/128"))
    assert made.tickets == TicketPolicy(7200.0, networks, frozenset({"ms"}), 1000, 60, 30, 5)
    assert made.annotations == AnnotationLimits(1024, 10, private=False)
    assert made.serves("[2001:db8::1]", 143)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--anonymous-life", "3599"], "a number of 3600 or more is expected"),
        (["--fetch-from", "media.example.net"], "no address or network"),
        (["--fetch-from", "192.0.2.7/24"], "no address or network"),
        (["--max-part", "0"], "1 or more"),
        (["--fetch-rate", "-1"], "1 or more"),
        (["--refusals", "x"], "1 or more"),
        (["--max-annotation", "1023"], "1024 or more"),
        (["--max-annotations", "9"], "10 or more"),
        (["--private-annotations", "maybe"], "invalid choice"),
        (["--name", "[::1"], "is not a host"),
    ],
)
def test_invalid_options_say_what_is_valid(
    more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        config(tmp_path, *more)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_fetch_user_may_name_an_account_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert config(tmp_path, "--fetch-user", "later").tickets.users == {"later"}
