"""The two profiles of the mechanism: the draft as written, and RFC 5616 as published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The names that differ between draft-07 and RFC 5616; chosen once per run.

    `media_servers_entry`: METADATA entry that a client asks for first (E-1).
    `other_entry`: the entry it asks for in a second command.
    `discovery_token`: what a server writes behind an authorised media server's URI (E-2).
    `access`: the access identifier that answers the token; `{user}` stands for the client's own userid (E-5).
    `zero_repeat_plays_once`: `repeat="0"` of the draft's example plays once (E-22).
    """

    name: str
    media_servers_entry: str
    other_entry: str
    discovery_token: str
    access: str
    zero_repeat_plays_once: bool = True

    def access_for(self, user: str) -> str:
        """Return the access identifier for an authorised media server, for the owner `user`."""
        return self.access.format(user=user)


DRAFT_07 = Profile("draft-07", "/public/mediaServers", "/shared/mediaServers", "authuser", "submit+{user}")
RFC_5616 = Profile("rfc5616", "/shared/mediaServers", "/public/mediaServers", "stream", "stream")
PROFILES = {profile.name: profile for profile in (DRAFT_07, RFC_5616)}
