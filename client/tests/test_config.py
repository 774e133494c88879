"""The client's command-line options and their environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_client.behaviour import CORRECT
from lemonade_client.config import read_config
from lemonade_client.faults.registry import FAULTS
from lemonade_wire.address import Address, PortRange


def test_the_defaults_of_the_options() -> None:
    config = read_config(["--script", "a.yaml"], {})
    assert (config.script, config.listen, config.rtp_ports) == (
        Path("a.yaml"),
        Address("127.0.0.1", 0),
        PortRange(20000, 20100),
    )
    assert (config.heard, config.behaviour) == (None, CORRECT)


def test_options_may_be_given_as_environment_variables() -> None:
    config = read_config(
        ["--script", "a.yaml", "--resolve", "a=127.0.0.1:1143", "--fault", "no-ack", "--heard", "x.wav"],
        {"LEMONADE_LISTEN": "127.0.0.3:5060", "LEMONADE_RTP_PORTS": "30000-30010"},
    )
    assert (config.listen, config.rtp_ports) == (Address("127.0.0.3", 5060), PortRange(30000, 30010))
    assert config.resolver.resolve("A", 143) == Address("127.0.0.1", 1143)
    assert config.behaviour is FAULTS.pick("no-ack")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--rtp-ports", "9"], "A-B is expected"),
        (["--listen", "nowhere"], "HOST:PORT is expected"),
        (["--resolve", "nothing"], "NAME[:PORT]=ADDRESS[:PORT] is expected"),
        (["--fault", "no-akc"], "did you mean 'no-ack'?"),
        (["--hear", "x"], "unrecognized arguments"),
    ],
)
def test_wrong_options_exit_2_with_what_is_allowed(
    option: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        read_config(["--script", "a.yaml", *option], {})
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_the_script_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_config([], {})
    assert "--script" in capsys.readouterr().err


def test_faults_are_listed_with_their_clauses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_config(["--faults"], {})
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in FAULTS.faults)
