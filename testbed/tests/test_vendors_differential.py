"""The same IMAP sessions on the reference server, Dovecot and Cyrus: each difference in the answers is explained."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest

from differential.explained import TABLE, as_table, compared, differences, read_explanations
from differential.running import servers, told_by
from differential.script import odd_section, read_sections
from lemonade_testbed.vendors.catalogue import REFERENCE, load_vendors
from lemonade_testbed.vendors.images import ensure_vendor_images

pytestmark = pytest.mark.xdist_group("vendors")
SCRIPTS = TABLE.parent / "sessions"
ODD = Path(__file__).parents[2] / "imap-server/tests/odd_messages.txt"
PEERS = ("dovecot", "cyrus")


def test_every_difference_between_the_servers_is_explained(engine: docker.DockerClient, tmp_path: Path) -> None:
    known = load_vendors()
    vendors = [known[name] for name in PEERS]
    ensure_vendor_images(engine, vendors, print)
    sections = [section for path in sorted(SCRIPTS.glob("*.txt")) for section in read_sections(path)]
    sections.append(odd_section(ODD))
    with servers(tmp_path, vendors, len(sections)) as running:
        told = told_by(running, sections)
    found = [
        difference
        for name in PEERS
        for at, facts in told[REFERENCE].items()
        for difference in differences(name, at, facts, told[name][at])
    ]
    unexplained, gone = compared(found, read_explanations(TABLE))
    assert not unexplained, f"differences that nothing explains:\n{as_table(unexplained)}"
    assert not gone, f"explained, but there no more:\n{as_table(gone)}"
