"""The command `lemonade-media`: its options, and how it starts the media server."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from lemonade_media.app import MediaApp
from lemonade_media.calls.limits import add_options as add_limits
from lemonade_media.calls.limits import limits_from
from lemonade_media.config import MediaConfig, existing_folder
from lemonade_media.decoding.host import Host
from lemonade_media.decoding.settings import add_options as add_decoding
from lemonade_media.decoding.settings import decode_limits_from
from lemonade_media.faults.registry import FAULTS
from lemonade_media.fetch.settings import add_options as add_imap_options
from lemonade_media.fetch.settings import imap_from
from lemonade_wire.address import Address
from lemonade_wire.failures.endpoint import report_failures
from lemonade_wire.nodecli import (
    NodeOptions,
    NodeParser,
    add_number,
    add_resolve,
    add_rtp_ports,
    resolver_from,
    setting,
    whole,
)
from lemonade_wire.sip.message.smime import add_options as add_smime
from lemonade_wire.sip.message.smime import smime_from
from lemonade_wire.turns import prepare_thread

EXIT_CANNOT_START = 1


def listen_address(text: str) -> Address:
    """Read HOST:PORT and resolve a host name to its address; raises ValueError, also for 0.0.0.0 and `::`."""
    address = Address.parse(text)
    try:
        host = ipaddress.ip_address(address.host)
    except ValueError:
        try:
            host = ipaddress.ip_address(socket.gethostbyname(address.host))
        except OSError as problem:
            raise ValueError(f"{address.host!r} has no address") from problem
    if host.is_unspecified:
        # This address is written into Contact and SDP, where 0.0.0.0 puts a stream on hold (RFC 3264 section 8.4).
        raise ValueError(f"{text!r} is no address that a caller can reach: one of this machine's own is expected")
    return Address(str(host), address.port)


def parser() -> NodeParser:
    """Return the command-line parser of `lemonade-media`."""
    options = NodeParser("lemonade-media", "Reference SIP media server: NETANN announcements and MSCML IVR.", FAULTS)
    options.add_argument(
        "--listen", type=setting(listen_address), metavar="HOST:PORT", required=True, help="SIP over UDP and TCP"
    )
    add_rtp_ports(options)
    add_imap_options(options)
    options.add_argument(
        "--service",
        choices=("annc", "ivr"),
        action="append",
        default=[],
        help="a service to offer; others are refused with 488 (repeatable; default: both)",
    )
    options.add_argument(
        "--provisioned",
        type=setting(existing_folder),
        metavar="DIR",
        help="folder of what play=/provisioned/NAME plays: NAME.wav and the like (default: none)",
    )
    add_number(
        options,
        "--max-announcement",
        whole(1, 14_400),
        "longest an announcement lasts, repetitions and silence counted",
        3600,
        metavar="SECONDS",
    )
    add_number(
        options,
        "--max-recording",
        whole(1, 14_400),
        "longest a recording lasts, at 8,000 octets a second",
        3600,
        metavar="SECONDS",
    )
    options.add_argument(
        "--recordings",
        type=setting(existing_folder),
        metavar="DIR",
        help="where recordings are written, and nowhere else (default: recording is refused)",
    )
    add_resolve(options)
    add_smime(options)
    add_decoding(options)
    add_limits(options)
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Run the media server until SIGTERM or SIGINT; exits 0 then, 1 if it cannot start, 2 on a usage error."""
    command = parser()
    given = command.read(argv)
    resolver = resolver_from(command, given)
    try:
        imap = imap_from(given)
        smime = smime_from(given, datetime.now(UTC))
    except ValueError as problem:
        command.error(f"argument {problem}")
    config = MediaConfig(
        listen=given.listen,
        rtp_ports=given.rtp_ports,
        imap=imap,
        recordings=given.recordings,
        resolver=resolver,
        provisioned=given.provisioned,
        services=frozenset(given.service or ("annc", "ivr")),
        max_announcement_seconds=given.max_announcement,
        smime=smime,
        max_recording_seconds=given.max_recording,
        limits=limits_from(given),
        decoding=decode_limits_from(given),
    )
    sys.exit(_run(config, NodeOptions.from_namespace("media", given)))


def _run(config: MediaConfig, options: NodeOptions) -> int:
    host = Host.fork()  # before there is a reactor, whose descriptors and threads must not be forked

    from twisted.internet import reactor as installed  # noqa: PLC0415  importing it installs it

    reactor: Any = installed
    redactor = options.trace.redactor
    report_failures(redactor)
    if config.imap.identity is not None:
        redactor.hide(config.imap.identity.password)
    app = MediaApp(reactor, config, options, host)
    exits: list[int] = []

    def failed(failure: Failure) -> None:
        exits.append(EXIT_CANNOT_START)
        sys.stderr.write(f"lemonade-media: {redactor.text(failure.getErrorMessage())}\n")
        reactor.stop()

    def begin() -> None:
        started: Deferred[None] = ensureDeferred(app.start())
        started.addErrback(failed)

    prepare_thread()
    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger("before", "shutdown", lambda: ensureDeferred(app.stop()))
    reactor.run()
    return exits[0] if exits else 0
