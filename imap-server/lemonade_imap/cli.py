"""The command `lemonade-imap`: reads its options, runs the server in the reactor and stops it cleanly."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater

from lemonade_imap import ticket_options, transport_options
from lemonade_imap.behaviour import ImapBehaviour
from lemonade_imap.config import LoginPolicy, ServerConfig
from lemonade_imap.faults.registry import FAULTS
from lemonade_imap.listening import Ports, raise_file_limit
from lemonade_imap.protocol import ImapFactory
from lemonade_imap.serving.backend import Backend
from lemonade_imap.serving.service import ImapService
from lemonade_imap.serving.turns import FairTurns
from lemonade_imap.store.accounts import Accounts, kept_secret
from lemonade_imap.store.base import StoreError
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.store.thread import StoreThread
from lemonade_imap.tools.command import COMMANDS, run
from lemonade_imap.transport_options import TellsUrlMech
from lemonade_imap.urlauth import Roles
from lemonade_wire.address import Address
from lemonade_wire.failures.endpoint import report_failures
from lemonade_wire.imap.errors import ImapParseError
from lemonade_wire.imap.url_parts import host_key
from lemonade_wire.nodecli import NodeOptions, NodeParser, Permission, setting
from lemonade_wire.sasl import PrepError, saslprep
from lemonade_wire.turns import TurnQueue, prepare_thread

EXIT_ENVIRONMENT = 1
_STOP_SECONDS = 1.0


def parser() -> NodeParser:
    """Return the parser for the options, which it reads from the command line and the environment."""
    made = NodeParser("lemonade-imap", "IMAP server with URLAUTH, URLFETCH=BINARY and METADATA.", FAULTS)
    made.add_argument(
        "--listen", required=True, type=setting(Address.parse), metavar="HOST:PORT", help="port 0: any free one"
    )
    made.add_argument("--data", required=True, type=Path, metavar="DIR", help="where messages and keys are kept")
    made.add_argument(
        "--name",
        required=True,
        action="append",
        type=setting(_host),
        metavar="NAME",
        help="host that URLs may name; may be given again",
    )
    made.add_argument(
        "--user", action="append", default=[], type=setting(_account), metavar="NAME:PASSWORD", help="an account"
    )
    made.add_argument(
        "--admin",
        action="append",
        default=[],
        type=setting(_account),
        metavar="NAME:PASSWORD",
        help="an account that may log in (PLAIN) to act for any other",
    )
    made.add_argument(
        "--submit-user", action="append", default=[], metavar="NAME", help="an account that may fetch submit+ URLs"
    )
    made.add_argument(
        "--application",
        action="append",
        default=[],
        type=setting(_application),
        metavar="APP=USER[,USER]",
        help="accounts that may fetch URLs of an application, such as stream=mediaserver",
    )
    made.add_argument("--media-servers", metavar="VALUE", help="value of the discovery entry, '<sip:...>:token;...'")
    transport_options.add_options(made)
    ticket_options.add_options(made)
    return made


def _host(text: str) -> str:
    try:
        return host_key(text)
    except ImapParseError:
        raise ValueError(f"{text!r} is not a host: NAME or [IPv6 address] without a port is expected") from None


def _account(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not name or not colon or not password:
        raise ValueError("an account is written NAME:PASSWORD, neither of them empty")
    if name.lower() == "anonymous":
        raise ValueError("anonymous cannot be an account: an anonymous session has no mailboxes")
    try:
        return saslprep(name, stored=True), saslprep(password, stored=True)
    except PrepError as problem:
        raise ValueError(f"an account's name and password must be valid by RFC 4013: {problem}") from None


def _application(text: str) -> tuple[str, frozenset[str]]:
    name, equals, users = text.partition("=")
    if not equals or not name.isalnum() or not name.isascii() or not all(users.split(",")):
        raise ValueError(f"{text!r} is not APP=USER[,USER]; APP is letters and digits, such as stream")
    if name.lower() in {"submit", "user", "authuser", "anonymous"}:
        raise ValueError(f"{name} names another access identifier and cannot be an application")
    return name.lower(), frozenset(users.split(","))


def config_from(options: argparse.Namespace, node: NodeOptions) -> ServerConfig:
    """Return the server's settings from the parsed options; raises ValueError whose text says what is allowed."""
    accounts = [*options.user, *options.admin]
    passwords = dict(accounts)
    if len(passwords) < len(accounts):
        raise ValueError("--user and --admin: an account may be given only once")
    applications: dict[str, frozenset[str]] = {}
    for name, users in options.application:
        applications[name] = applications.get(name, frozenset()) | users
    if options.media_servers is not None and not options.media_servers.isprintable():
        raise ValueError("--media-servers: one line of text is expected")
    return ServerConfig(
        names=tuple(options.name),
        port=options.listen.port,
        passwords=passwords,
        admins=frozenset(name for name, _ in options.admin),
        roles=Roles(frozenset(options.submit_user), applications),
        media_servers=options.media_servers,
        profile=node.profile,
        tls=options.tls_cert is not None,
        cleartext_login=Permission(options.cleartext_login) is Permission.ALLOWED,
        clear_urlmech=TellsUrlMech(options.urlmech) is TellsUrlMech.ALWAYS,
        logins=LoginPolicy(failures=options.max_login_failures),
        max_message=options.max_message,
        connections=transport_options.limits_from(options),
        tickets=ticket_options.policy_from(options),
        annotations=ticket_options.annotations_from(options),
    )


def _without_account(config: ServerConfig, accounts: Accounts) -> list[str]:
    """Return the accounts that the options permit to fetch URLs but that do not exist, sorted.

    They are no error: an administrator may add them while the server runs.
    """
    named = config.tickets.users.union(config.roles.submit_users, *config.roles.applications.values())
    return [name for name in sorted(named.difference(config.passwords)) if accounts.find(name) is None]


def main(argv: Sequence[str] | None = None) -> None:
    """Run a sub-command (`user`, `fsck` and others), or run the server until SIGTERM or SIGINT."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in COMMANDS:
        sys.exit(run(given))
    read = parser()
    options = read.read(argv)
    try:
        node = NodeOptions.from_namespace("imap", options)
        config = config_from(options, node)
        tls = transport_options.tls_from(options)
    except OSError as problem:
        read.error(f"--trace: {problem}")
    except ValueError as problem:
        read.error(str(problem))
    for _, password in [*options.user, *options.admin]:
        node.trace.redactor.hide(password)
    report_failures(node.trace.redactor)
    sys.exit(_serve(config, tls, options, node))


def _serve(config: ServerConfig, tls: CertificateOptions | None, options: argparse.Namespace, node: NodeOptions) -> int:
    from twisted.internet import reactor as installed  # noqa: PLC0415  the import installs the reactor: not for --help

    reactor: Any = installed
    trace = node.trace

    def log(text: str) -> None:
        for line in trace.redactor.text(text).splitlines():
            sys.stderr.write(f"imap: {line}\n")
        sys.stderr.flush()

    trace.emit("node", state="started", version=_version(), profile=node.profile.name, fault=_fault_name(node))
    try:
        store = SqliteStore(options.data)
        secret = kept_secret(options.data)
        accounts = Accounts(options.data)
        for name in _without_account(config, accounts):
            log(f"{name!r} may fetch URLs but is not an account yet: `lemonade-imap user add` makes it")
    except StoreError as problem:
        log(str(problem))
        return EXIT_ENVIRONMENT
    room = raise_file_limit(config.connections)
    if room.total < config.connections.total:
        log(f"{room.total} connections at a time at most: the limit of open files allows no more")
    config = replace(config, connections=room)
    thread, hashing = StoreThread(reactor, store.transactions), StoreThread(reactor)
    behaviour = node.fault if isinstance(node.fault, ImapBehaviour) else ImapBehaviour()
    backend = Backend(
        config,
        store,
        thread,
        behaviour,
        log,
        pause=partial(deferLater, reactor),
        hashing=hashing,
        accounts=accounts.find,
        secret=secret,
        turns=FairTurns(TurnQueue(partial(reactor.callLater, 0))),
    )
    factory = ImapFactory(ImapService(backend), trace, reactor, time.time, tls)
    ports = Ports(reactor, factory)
    try:
        clear = ports.listen(options.listen)
        secure = ports.listen(options.listen_tls, tls=True) if options.listen_tls else None
    except (CannotListenError, OSError) as problem:
        log(f"cannot listen: {problem}")
        thread.stop()
        hashing.stop()
        store.close()
        return EXIT_ENVIRONMENT
    # Port 0 of the options has become a real port number only now; URLs may contain that number.
    factory.service.backend = replace(backend, config=replace(config, port=clear.port))

    def ready() -> None:
        log(f"ready on {clear}{f', TLS on {secure}' if secure else ''}, profile {node.profile.name}")
        trace.emit("node", state="ready", version=_version(), profile=node.profile.name, fault=_fault_name(node))

    def stop() -> Deferred[None]:
        trace.emit("node", state="stopping")
        ports.close()
        gone = factory.close_all()
        gone.addTimeout(_STOP_SECONDS, reactor)
        gone.addErrback(lambda _late: None)
        return gone

    prepare_thread()
    reactor.callWhenRunning(ready)
    reactor.addSystemEventTrigger("before", "shutdown", stop)
    reactor.run()
    thread.stop()
    hashing.stop()
    store.close()
    trace.emit("node", state="stopped")
    log("stopped")
    return 0


def _fault_name(node: NodeOptions) -> str | None:
    return node.fault.name if node.fault else None


def _version() -> str:
    try:
        return version("lemonade-imap")
    except PackageNotFoundError:
        return "unknown"
