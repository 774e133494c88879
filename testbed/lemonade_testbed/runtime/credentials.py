"""Makes the keys and certificates of one world, for S/MIME and TLS, with an authority of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from lemonade_testbed.authority import Authority, Issued, keep
from lemonade_testbed.scenario.world import World

ANOTHER_HOST = "other.example.com"
_Files = dict[str, dict[str, bytes]]
"""The content of the files: node to option to octets."""


def make_credentials(world: World) -> Mapping[str, Mapping[str, Path]]:
    """Write the keys and certificates that the nodes of a world need into its folder `secret`, with mode 0600.

    Returns node to option to file; an option is that of the node's command line, without the two hyphens. The result is
    empty if the world uses neither S/MIME nor TLS.
    """
    if world.setup.smime == "no" and world.setup.tls is None:
        return {}
    now = datetime.now(UTC)
    authority = Authority.make(now)
    found: dict[str, dict[str, Path]] = {}
    for made in (_smime(world, authority, now), _tls(world, authority, now)):
        for node, files in made.items():
            written = keep(world.setup.secret(), {f"{node}-{option}.pem": octets for option, octets in files.items()})
            found.setdefault(node, {}).update(zip(files, written, strict=True))
    return found


def _smime(world: World, authority: Authority, now: datetime) -> _Files:
    """Return the S/MIME files of client and media server; empty if MSCML is not encrypted."""
    if world.setup.smime == "no":
        return {}
    client = f"{next(iter(world.setup.users))}@{world.roles['client'].address}"
    media = world.setup.first("media")
    server = f"ivr@{media.host}"
    own = {"client": authority.issue_smime([client], now), media.name: authority.issue_smime([server], now)}
    believed = authority.issue_smime([server], now) if world.setup.smime == "wrong-key" else own[media.name]
    made = {"client": _smime_files(own["client"], believed)}
    if world.setup.smime != "client-alone":
        made[media.name] = _smime_files(own[media.name], own["client"])
    return made


def _smime_files(own: Issued, peer: Issued) -> dict[str, bytes]:
    return {"smime-cert": own.certificate, "smime-key": own.key, "smime-peer": peer.certificate}


def _tls(world: World, authority: Authority, now: datetime) -> _Files:
    """Return the certificates of the IMAP servers, and the authority that the other nodes trust; empty without TLS."""
    tls = world.setup.tls
    if tls is None:
        return {}
    made = {name: {"imap-ca": authority.pem} for name in (*world.setup.running("media"), "client")}
    if tls.certificate != "none":
        signer = Authority.make(now) if tls.certificate == "another-authority" else authority
        for name in world.setup.running("imap"):
            host = ANOTHER_HOST if tls.certificate == "another-host" else world.roles[name].name
            issued = signer.issue([host], now)
            made[name] = {"tls-cert": issued.certificate, "tls-key": issued.key}
    return made
