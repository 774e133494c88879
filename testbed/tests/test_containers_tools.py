from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lemonade_testbed.containers import tools as docker_tools
from lemonade_testbed.containers.tools import docker_command, mirror, pick_mirror, unpack
from lemonade_testbed.errors import EnvironmentBroken

LISTED = """https://packages.example.net/tools/||Packages
http://mirror.example.org/debian-security/|Debian-Security|Packages
http://mirror.example.org/debian/|Debian|DEP-11
http://mirror.example.org/debian/|Debian|Packages
http://other.example.org/debian/|Debian|Packages
"""


def test_the_mirror_is_the_one_that_apt_is_set_to() -> None:
    assert pick_mirror(LISTED) == "http://mirror.example.org/debian/"


def test_a_debian_mirror_is_found_without_labels() -> None:
    assert pick_mirror("http://m.example.org/debian-security||Packages\nhttp://m.example.org/debian||Packages") == (
        "http://m.example.org/debian"
    )
    assert pick_mirror("http://archive.example.org/ubuntu/|Ubuntu|Packages") is None


def test_the_variable_mirror_is_used_before_apts_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR", "http://lab.example.org/debian")
    assert mirror() == "http://lab.example.org/debian"


def test_without_apt_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MIRROR", raising=False)
    with pytest.raises(EnvironmentBroken, match="docker-compose: missing, and there is no apt to fetch it with"):
        unpack(["docker-compose"], tmp_path)
    with pytest.raises(EnvironmentBroken, match="MIRROR=http"):
        mirror()


def test_packages_are_fetched_with_a_list_of_their_own_and_unpacked_in_the_clone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIRROR", "http://lab.example.org/debian")
    ran: list[list[str]] = []

    def run(command: list[str], folder: Path | None = None) -> str:
        ran.append(list(command))
        if "download" in command and folder is not None:
            (folder / "mmdebstrap_1.deb").touch()
        return ""

    monkeypatch.setattr(docker_tools, "_run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert unpack(["mmdebstrap"], tmp_path) == tmp_path / "debian"
    assert (tmp_path / "apt/sources.list").read_text().endswith("http://lab.example.org/debian trixie main\n")
    assert [command[0] for command in ran] == ["apt-get", "apt-get", "dpkg-deb"]
    settings = [word for word in ran[0] if "=" in word and word.partition("=")[0].startswith("Dir::")]
    assert all(str(tmp_path) in word or word.endswith("/dev/null") for word in settings)
    assert ran[2][1:] == ["-x", str(tmp_path / "apt/archives/mmdebstrap_1.deb"), str(tmp_path / "debian")]
    assert not list((tmp_path / "apt/archives").iterdir())


def test_a_docker_command_that_was_unpacked_here_is_found_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert docker_command(tmp_path) is None
    own = tmp_path / "debian/usr/bin/docker"
    own.parent.mkdir(parents=True)
    own.touch(mode=0o755)
    assert docker_command(tmp_path) == str(own)
