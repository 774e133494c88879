"""What holds for the tests of every package."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from lemonade_testbed.authority import Authority, Issued

# How long one example takes says more of the machine than of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

MSCML_SCHEMA = Path(__file__).parent / "wire/tests/schemas/mscml.xsd"
# What a response must say, may say, and the words of its reason (RFC 5022 sections 10.2 to 10.7): the part of the
# schema that depends on the request. None: any words.
BASE = {"request", "id", "code", "text"}
PLAYED = {"playduration", "playoffset"}
RESPONSES: dict[str, tuple[set[str], set[str], set[str] | None]] = {
    "play": (PLAYED, {"reason"}, {"stopped", "EOF"}),
    "playcollect": (
        PLAYED | {"digits"},
        {"reason", "name"},
        {"stopped", "match", "timeout", "returnkey", "escapekey"},
    ),
    "playrecord": (
        PLAYED | {"digits", "reclength", "recduration"},
        {"reason"},
        {"stopped", "digit", "init_silence", "end_silence", "max_duration", "escapekey", "error"},
    ),
    "managecontent": (set(), {"reason"}, None),
}
NOTHING_MORE: tuple[set[str], set[str], set[str] | None] = (set(), set(), set())


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Return what finds a program of a Debian package: where it is missing the test is passed over, but not in CI."""

    def find(name: str, package: str) -> str:
        found = shutil.which(name)
        if found is None:
            assert "CI" not in os.environ, f"{name} is missing: apt install {package}"
            pytest.skip(f"{name} is not there: apt install {package}")
        return found

    return find


@pytest.fixture(scope="session")
def smime() -> Callable[[str], Issued]:
    """Return what makes a certificate for S/MIME and its key, the same ones for the same users (`a@b,c@d`)."""
    authority = Authority.make(datetime.now(UTC))
    return cache(lambda users: authority.issue_smime(users.split(","), datetime.now(UTC)))


@pytest.fixture(scope="session")
def valid_mscml() -> Callable[[bytes], None]:
    """Return an assertion that a document is valid by RFC 5022."""
    from lxml import etree  # noqa: PLC0415  the other tests do without it

    schema = etree.XMLSchema(etree.parse(MSCML_SCHEMA))

    def check(document: bytes) -> None:
        root = etree.fromstring(document)
        schema.assertValid(root)
        for response in root.findall("response"):
            said = response.attrib
            must, may, reasons = RESPONSES.get(said["request"], NOTHING_MORE)
            assert must <= set(said), f"{said['request']}: {must - set(said)} missing"
            assert set(said) <= BASE | must | may, f"{said['request']}: {set(said) - BASE - must - may} too much"
            assert reasons is None or said.get("reason") in {None, *reasons}

    return check
