from __future__ import annotations

from pathlib import Path

import pytest

from lemonade_wire.faults import FaultList
from lemonade_wire.nodecli import NodeParser
from lemonade_wire.tls.options import add_options, trust_from


def parser() -> NodeParser:
    made = NodeParser("lemonade-x", "A node.", FaultList.of(), {})
    add_options(made)
    return made


def test_the_system_s_authorities_are_trusted_where_nothing_is_said() -> None:
    options = parser().read([])
    assert options.imap_tls == "preferred"
    assert trust_from(options) is None
    assert trust_from(options, checks=False) is not None


def test_a_key_log_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    assert trust_from(parser().read(["--tls-keylog", str(tmp_path / "keys")])) is not None
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("argv", "says"),
    [(["--imap-ca", "/nowhere/ca.pem"], "--imap-ca: .*No such"), (["--tls-keylog", "/nowhere/k"], "--tls-keylog: ")],
)
def test_files_that_are_not_there(argv: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        trust_from(parser().read(argv))
