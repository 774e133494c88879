"""The table of all targets, by name."""

from __future__ import annotations

from fuzz import files, imap, mail, media, sip
from fuzz.target import FuzzTarget

TARGETS: dict[str, FuzzTarget] = {
    target.name: target for module in (imap, mail, sip, media, files) for target in module.TARGETS
}
