"""Finds Docker Compose, buildx and mmdebstrap, or unpacks them from their Debian packages into the folder .tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lemonade_testbed.errors import EnvironmentBroken

ROOT = Path(__file__).resolve().parents[3]
"""The repository; this module writes files only below it."""
TOOLS = ROOT / ".tools"
SUITE = "trixie"
"""Debian 13: the suite of the tools and of the base image."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_PLUGINS = {"compose": "docker-compose", "buildx": "docker-buildx"}
_LIST_FORMAT = "$(REPO_URI)|$(LABEL)|$(CREATED_BY)"


def ensure_compose(tools: Path = TOOLS) -> None:
    """Make sure that this process and its children find `docker compose` (version 2 or later) and buildx.

    If they are missing, they are unpacked into `tools`. Raises EnvironmentBroken if that fails.
    """
    wanted = [] if shutil.which("docker") else ["docker-cli"]
    if not wanted and all(_answers(plugin) for plugin in _PLUGINS):
        return
    config = tools / "docker"
    plugins = config / "cli-plugins"
    if wanted or not all((plugins / package).exists() for package in _PLUGINS.values()):
        unpacked = unpack([*wanted, *_PLUGINS.values()], tools)
        plugins.mkdir(parents=True, exist_ok=True)
        for package in _PLUGINS.values():
            _link(unpacked / "usr/libexec/docker/cli-plugins" / package, plugins / package)
    os.environ["DOCKER_CONFIG"] = str(config)
    if wanted:
        os.environ["PATH"] += f"{os.pathsep}{tools / 'debian/usr/bin'}"
    if not _answers("compose"):
        raise EnvironmentBroken("Docker Compose v2 is missing and its Debian package does not run here; install it")


def docker_command(tools: Path = TOOLS) -> str | None:
    """Return the path of the docker command, installed or unpacked into `tools`, or None if there is none."""
    return shutil.which("docker") or shutil.which("docker", path=tools / "debian/usr/bin")


def _answers(plugin: str) -> bool:
    """Tell whether the docker command has a plugin; Compose of version 1 is no plugin and does not count."""
    ran = subprocess.run(["docker", plugin, "version"], capture_output=True, check=False)  # noqa: S603, S607
    return ran.returncode == 0


def _link(target: Path, place: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(os.path.relpath(target, place.parent))


def mmdebstrap(tools: Path = TOOLS) -> Path:
    """Return the path of mmdebstrap, which makes a Debian system of packages; it is unpacked or installed if missing.

    Raises EnvironmentBroken, which says what to install.
    """
    for found in (shutil.which("mmdebstrap"), tools / "debian/usr/bin/mmdebstrap"):
        if found and Path(found).exists():
            return Path(found)
    program = unpack(["mmdebstrap"], tools) / "usr/bin/mmdebstrap"
    if subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0:  # noqa: S603
        return program
    if not os.environ.get("SYSTEM") and not os.environ.get("CI"):
        raise EnvironmentBroken("mmdebstrap does not run here: `apt install mmdebstrap` as root, or say SYSTEM=1")
    _run(["apt-get", "install", "-qq", "-y", "mmdebstrap"])
    return Path("/usr/bin/mmdebstrap")


def unpack(packages: Sequence[str], tools: Path = TOOLS) -> Path:
    """Unpack Debian packages without their dependencies and without installing them; returns the folder.

    Raises EnvironmentBroken if this machine has no apt or the mirror does not answer.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise EnvironmentBroken(f"{', '.join(packages)}: missing, and there is no apt to fetch it with: install it")
    apt = tools / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "archives"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (apt / "sources.list").write_text(f"deb {signed}{mirror()} {SUITE} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": apt / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-qq", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    _run([*command, "update"])
    archives = apt / "archives"
    for old in archives.glob("*.deb"):
        old.unlink()
    _run([*command, "download", *packages], archives)
    for archive in archives.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(archive), str(tools / "debian")])
        archive.unlink()
    return tools / "debian"


def mirror() -> str:
    """Return the Debian mirror in the environment variable MIRROR, or else the one in this machine's apt settings.

    Raises EnvironmentBroken if there is none.
    """
    given = os.environ.get("MIRROR")
    if given:
        return given
    try:
        listed = _run(["apt-get", "indextargets", "--format", _LIST_FORMAT])
    except EnvironmentBroken:
        listed = ""
    found = pick_mirror(listed)
    if found is None:
        raise EnvironmentBroken("this machine's apt names no Debian mirror: say which, MIRROR=http://...")
    return found


def pick_mirror(listed: str) -> str | None:
    """Return the first Debian mirror in lines `URI|label|kind`, or None; before an update of apt labels are empty."""
    for line in listed.splitlines():
        uri, label, kind = line.split("|")
        if kind == "Packages" and (label == "Debian" or (not label and uri.rstrip("/").endswith("/debian"))):
            return uri
    return None


def _run(command: Sequence[str], folder: Path | None = None) -> str:
    try:
        ran = subprocess.run(command, capture_output=True, check=True, text=True, cwd=folder)  # noqa: S603
    except subprocess.CalledProcessError as problem:
        said = [line for line in problem.stderr.splitlines() if line.strip()] or [f"exit code {problem.returncode}"]
        raise EnvironmentBroken(f"{' '.join(command[:1])}: {said[-1].strip()}") from problem
    except OSError as problem:
        raise EnvironmentBroken(f"{command[0]} cannot be run: {problem.strerror}") from problem
    return ran.stdout
