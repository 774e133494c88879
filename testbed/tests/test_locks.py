"""The lock files against what they are made from: requirements.in, requirements-dev.in and each pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = ("wire", "imap-server", "media-server", "client", "testbed")
LOCKS = ("requirements", "requirements-dev")


def listed(name: str) -> list[Requirement]:
    """Return the requirements of a `.in` file or of a lock: hashes, comments and options are left out."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [re.split(r" #| --hash=", line)[0] for line in text.splitlines()]
    return [Requirement(line) for line in lines if line.strip() and line[0] not in "#-" and not line.startswith("    ")]


def locked(name: str) -> dict[str, Requirement]:
    return {canonicalize_name(one.name): one for one in listed(name)}


def test_the_input_of_the_lock_is_what_the_packages_need() -> None:
    needed = {"setuptools"}
    for package in PACKAGES:
        project = tomllib.loads((ROOT / package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needed |= {str(Requirement(one)).lower() for one in project["dependencies"] if "lemonade" not in one}
    wanted = {str(one).lower() for one in listed("requirements.in")}
    assert wanted == {one for one in needed if f"{one}[tls]" not in needed}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_its_input_asks_for(name: str) -> None:
    lock = locked(f"{name}.lock")
    for wanted in listed(f"{name}.in"):
        (version,) = lock[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(version.version), f"{wanted}: {version}; run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_has_one_version_and_hashes_and_names_no_index(name: str) -> None:
    text = (ROOT / f"{name}.lock").read_text(encoding="utf-8")
    assert [str(one) for one in listed(f"{name}.lock") if not re.fullmatch(r"==[^,*]+", str(one.specifier))] == []
    entries = [one for one in re.split(r"\n(?=[A-Za-z])", text) if one[0] != "#"]
    assert [one.splitlines()[0] for one in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", one)] == []
    assert re.findall(r"^\s*-(?!-hash).*|https?:.*", text, re.MULTILINE) == []


def test_both_locks_agree() -> None:
    # they are installed into one environment
    runtime, development = locked("requirements.lock"), locked("requirements-dev.lock")
    both = runtime.keys() & development.keys()
    assert both
    assert {name for name in both if runtime[name].specifier != development[name].specifier} == set()


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_pjsip_is_locked_where_it_has_wheels(version: str) -> None:
    marker = locked("requirements-dev.lock")["pjsua2-python"].marker
    assert marker is not None
    machine = {"sys_platform": "linux", "platform_machine": "x86_64"}
    environment = {"python_version": version, "python_full_version": f"{version}.0", **machine}
    assert marker.evaluate(environment) is (version != "3.13")
    assert not marker.evaluate(environment | {"platform_machine": "aarch64"})
