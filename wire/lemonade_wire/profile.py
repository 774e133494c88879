"""The two profiles of the testbed: draft-ietf-lemonade-streaming-07 as written, and RFC 5616 as published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The names that differ between draft-07 and RFC 5616; a run uses one profile.

    `media_servers_entry`: the METADATA entry that a client asks for first (E-1).
    `other_entry`: the entry that it asks for in a second command.
    `discovery_token`: the token that a server writes behind the URI of an authorised media server (E-2).
    `access`: the access identifier that belongs to this token; `{user}` stands for the client's userid (E-5).
    `zero_repeat_plays_once`: `repeat="0"`, as in the draft's example, plays the content once (E-22).
    """

    name: str
    media_servers_entry: str
    other_entry: str
    discovery_token: str
    access: str
    zero_repeat_plays_once: bool = True

    def access_for(self, user: str) -> str:
        """Return the access identifier for an authorised media server, for the mailbox owner `user`."""
        return self.access.format(user=user)


DRAFT_07 = Profile("draft-07", "/public/mediaServers", "/shared/mediaServers", "authuser", "submit+{user}")
RFC_5616 = Profile("rfc5616", "/shared/mediaServers", "/public/mediaServers", "stream", "stream")
PROFILES = {profile.name: profile for profile in (DRAFT_07, RFC_5616)}
