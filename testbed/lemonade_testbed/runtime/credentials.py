"""The keys and certificates of one world: made for it by an authority of its own, and gone with its secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from lemonade_testbed.authority import Authority, Issued, keep
from lemonade_testbed.runtime.tls import Tls
from lemonade_testbed.runtime.world import IMAP_NAME, World

ANOTHER_HOST = "other.example.com"
_Files = dict[str, dict[str, bytes]]
"""Role to option to what its file holds."""


def make_credentials(world: World) -> Mapping[str, Mapping[str, Path]]:
    """Make what a world's nodes are to have, as files for this user alone in its secret folder.

    Returns role to option to file; the option is the node's own, without the hyphens in front of it.
    """
    if world.setup.smime == "no" and world.setup.tls is None:
        return {}
    now = datetime.now(UTC)
    authority = Authority.make(now)
    found: dict[str, dict[str, Path]] = {}
    for made in (_smime(world, authority, now), _tls(world.setup.tls, authority, now)):
        for role, files in made.items():
            written = keep(world.setup.secret(), {f"{role}-{option}.pem": octets for option, octets in files.items()})
            found.setdefault(role, {}).update(zip(files, written, strict=True))
    return found


def _smime(world: World, authority: Authority, now: datetime) -> _Files:
    """Return what MSCML is encrypted with; nothing where nobody does."""
    if world.setup.smime == "no":
        return {}
    client = f"{next(iter(world.setup.users))}@{world.roles['client'].address}"
    server = f"ivr@{world.roles['media'].name}"
    own = {"client": authority.issue_smime([client], now), "media": authority.issue_smime([server], now)}
    believed = authority.issue_smime([server], now) if world.setup.smime == "wrong-key" else own["media"]
    made = {"client": _smime_files(own["client"], believed)}
    if world.setup.smime != "client-alone":
        made["media"] = _smime_files(own["media"], own["client"])
    return made


def _smime_files(own: Issued, peer: Issued) -> dict[str, bytes]:
    return {"smime-cert": own.certificate, "smime-key": own.key, "smime-peer": peer.certificate}


def _tls(tls: Tls | None, authority: Authority, now: datetime) -> _Files:
    """Return what the IMAP server shows, and whom the others trust; nothing where all is in the clear."""
    if tls is None:
        return {}
    made = {role: {"imap-ca": authority.pem} for role in ("media", "client")}
    if tls.certificate != "none":
        signer = Authority.make(now) if tls.certificate == "another-authority" else authority
        issued = signer.issue([ANOTHER_HOST if tls.certificate == "another-host" else IMAP_NAME], now)
        made["imap"] = {"tls-cert": issued.certificate, "tls-key": issued.key}
    return made
