"""The faults of the client in what it calls: the media server, the service, and the URL that it hands over."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from lemonade_client.behaviour import ClientBehaviour
from lemonade_wire.imap.mediaservers import MediaServerEntry, MediaServers


def _with_sip_uris(servers: MediaServers) -> tuple[MediaServerEntry, ...]:
    """Return all media servers of the list, those with a URI of another scheme under a SIP URI."""
    return tuple(
        one if one.is_sip else replace(one, uri=f"sip:annc@{one.uri.partition(':')[2].lstrip('/')}")
        for one in servers.servers
    )


CALL_FAULTS = (
    ClientBehaviour(
        "no-discovery",
        "calls the configured media server without having asked for the list",
        ("LS-2.2-2",),
        asks_for_list=False,
    ),
    ClientBehaviour(
        "discovers-unasked",
        "asks for the list of media servers though one is configured",
        ("LS-2.2-1",),
        discovers_unasked=True,
    ),
    ClientBehaviour(
        "list-ignored",
        "asks for the list of media servers, and calls the configured one",
        ("LS-2.2-12",),
        uses_list=False,
    ),
    ClientBehaviour(
        "no-fallback",
        "calls no media server where none is listed, though one is configured",
        ("LS-2.2-5",),
        falls_back_to_configuration=False,
    ),
    ClientBehaviour(
        "other-schemes-called",
        "calls a listed media server by SIP whatever its URI's scheme is",
        ("LS-2.2-9",),
        servers_to_call=_with_sip_uris,
    ),
    ClientBehaviour(
        "gives-up",
        "tries nothing else after a call that was refused",
        ("LS-2.4-6", "LS-2.5-7"),
        gives_up=True,
    ),
    ClientBehaviour(
        "waits-for-silent",
        "waits for a media server that sends no response until Timer B, instead of trying the next one",
        ("LS-2.2-13",),
        leaves_the_silent=False,
    ),
    ClientBehaviour(
        "annc-first",
        "asks for the announcement service where it knows nothing of a media server",
        ("LS-2.4-3",),
        service_to_ask=lambda named: named or "annc",
    ),
    ClientBehaviour(
        "service-ignored",
        "asks for the IVR service whatever a media server's URI names",
        ("LS-2.4-2",),
        service_to_ask=lambda named: "ivr",
    ),
    ClientBehaviour(
        "url-truncated",
        "hands the URL over without the last digit of its token",
        ("LS-2.3-11",),
        url_to_hand_over=lambda url: url[:-1],
    ),
    ClientBehaviour(
        "url-escaped-twice",
        "escapes the URL twice into the play parameter",
        ("LS-2.5-3", "LS-2.5-4"),
        url_to_escape=lambda url: quote(url, safe="/:&+$[]!~*'()-_."),
    ),
)
