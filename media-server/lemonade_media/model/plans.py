"""What a fetch is to load, once its URL is read and allowed: a message part, or provisioned content."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class FetchPlan:
    """A URL that may be fetched, with the same octets as given, and the host and port of its server.

    `privileged`: the media server logs in with its own account; else it logs in anonymously.
    """

    url: str = field(repr=False)
    host: str
    port: int
    privileged: bool = False


@dataclass(frozen=True)
class ProvisionedPlan:
    """What is to be loaded for a provisioned announcement: the URL of the request, and the name to find in a folder."""

    url: str
    folder: Path
    name: str
    locale: str = ""
    substitutions: tuple[str, ...] = ()
