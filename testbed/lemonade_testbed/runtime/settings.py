"""The settings of the nodes: one table from which command lines, environments and the vendor contract are made.

A setting has one name: `LEMONADE_IMAP_MAX_PART` in the environment is `--imap-max-part` on a command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.scenario.world import ROLES, World

MEDIA_RTP_PORTS = "16384-16484"
CLIENT_RTP_PORTS = "20000-20100"
EVIDENCE = "/evidence"
"""The folder in every container into which its node writes its trace and recordings."""
_ALL = (*ROLES, "relay")
_Values = Callable[[World, str], Sequence[str | Path]]


@dataclass(frozen=True)
class NodeSetting:
    """One setting of the nodes of some roles.

    `name` is the environment variable without `LEMONADE_`, and `says` describes it for the vendor contract. `values`
    returns the values for a node of a world; none leaves the setting out, and a file is a `Path` on this machine.
    Without `values` each runtime has its own place for the file. `many` says whether a node may get several values.
    `option` says whether the reference nodes have a command line option for it. `container` is the value that
    compose/compose.yaml gives to every container of the roles.
    """

    name: str
    roles: tuple[str, ...]
    says: str
    values: _Values | None = None
    many: bool = False
    option: bool = True
    container: str = ""

    def row(self) -> str:
        """Return the row of the vendor contract's table."""
        roles = "all" if set(self.roles) >= set(ROLES) else ", ".join(self.roles)
        return f"| `LEMONADE_{self.name}` | {roles} | {self.says} |"


def _field(name: str) -> _Values:
    """Return the values of a field of `Setup`, with the options that the node has of its own."""

    def values(world: World, node: str) -> Sequence[str]:
        value = getattr(world.setup.of(node), name)
        if value is None or isinstance(value, str | float | int):
            return _texts(f"{value:g}" if isinstance(value, float) else value)
        return tuple(value)

    return values


def _accounts(name: str) -> _Values:
    return lambda world, node: [":".join(account) for account in getattr(world.setup.of(node), name).items()]


def _credential(world: World, node: str, option: str) -> Sequence[Path]:
    path = world.credentials.get(node, {}).get(option)
    return () if path is None else (path,)


def _file(option: str) -> _Values:
    return lambda world, node: _credential(world, node, option)


def _texts(value: object) -> tuple[str, ...]:
    return () if value in {None, ""} else (str(value),)


def _listen(world: World, node: str) -> Sequence[str]:
    place = world.roles.get(node)
    return () if place is None else (f"{place.address}:{place.port}",)


def _applications(world: World, node: str) -> Sequence[str]:
    return [f"{name}={','.join(users)}" for name, users in world.setup.of(node).applications.items()]


def _identity(world: World, node: str) -> Sequence[str]:
    identity = world.setup.of(node).identity
    return (":".join(identity),) if identity else ()


def _rtp_ports(world: World, node: str) -> Sequence[str]:
    return (MEDIA_RTP_PORTS if world.kind_of(node) == "media" else CLIENT_RTP_PORTS,)


SETTINGS = (
    NodeSetting("LISTEN", _ALL, "`ADDRESS:PORT` to listen on; a client's own SIP address", _listen),
    NodeSetting(
        "SCENARIO",
        _ALL,
        "name of the scenario, as in its file; the seed hook has it too",
        lambda world, _node: _texts(world.setup.scenario),
        option=False,
    ),
    NodeSetting(
        "PROFILE",
        _ALL,
        "`draft-07` (`/public/mediaServers`, `submit+`) or `rfc5616` (`/shared/mediaServers`, `stream`)",
        lambda world, _node: (world.setup.profile,),
    ),
    NodeSetting("NAME", ("imap",), "host name that its URLs carry", lambda world, node: (world.roles[node].name,)),
    NodeSetting("USER", ("imap",), "accounts, each `NAME:PASSWORD`", _accounts("users"), many=True),
    NodeSetting("ADMIN", ("imap",), "administrators, each `NAME:PASSWORD`", _accounts("admins"), many=True),
    NodeSetting("SUBMIT_USER", ("imap",), "accounts that may fetch `submit+` URLs", _field("submit_users"), many=True),
    NodeSetting(
        "APPLICATION", ("imap",), "accounts of an application, each `APP=USER[,USER]`", _applications, many=True
    ),
    NodeSetting("MEDIA_SERVERS", ("imap",), "value of the discovery entry; absent: no entry", _field("media_servers")),
    NodeSetting(
        "FETCH_USER",
        ("imap",),
        "the only accounts whose URLFETCH is answered; absent: all accounts",
        _field("fetch_users"),
        many=True,
    ),
    NodeSetting(
        "ANONYMOUS_LIFE",
        ("imap",),
        "seconds that EXPIRE of an anonymous URL may lie ahead; absent: any number",
        _field("anonymous_life"),
    ),
    NodeSetting(
        "DATA",
        ("imap",),
        "`/store`: an empty folder in memory, writable for any account (an image that uses it has that folder with "
        "mode 1777, else it is closed at a second start)",
        container="/store",
    ),
    NodeSetting("RTP_PORTS", ("media", "client"), "`A-B`, UDP", _rtp_ports),
    NodeSetting(
        "ALLOW_IMAP",
        ("media",),
        "IMAP servers that a URL may name",
        lambda world, _node: world.imap_hosts(),
        many=True,
    ),
    NodeSetting("IMAP_USER", ("media",), "its account on IMAP servers, `NAME:PASSWORD`; absent: ANONYMOUS", _identity),
    NodeSetting(
        "TRUST_CALLER",
        ("media",),
        "the only addresses of callers whose URLs are fetched by that account; absent: none",
        lambda world, node: world.callers(node),
        many=True,
    ),
    NodeSetting(
        "IMAP_TLS",
        ("media", "client"),
        "whether STARTTLS is used: `required`, `preferred`, `never`; `never` unless the scenario says otherwise",
        lambda world, node: (world.setup.tls_policy(world.kind_of(node)),),
    ),
    NodeSetting(
        "IMAP_CLEARTEXT_LOGIN",
        ("media",),
        "whether PLAIN and LOGIN are used without TLS: `allowed`, and `never` in scenarios of TLS",
        lambda world, _node: ("never" if world.setup.tls else "allowed",),
    ),
    NodeSetting(
        "IMAP_CA",
        ("media", "client"),
        "the authority (PEM) that vouches for the IMAP server; absent: no TLS in this run",
        _file("imap-ca"),
    ),
    NodeSetting(
        "TLS_CERT",
        ("imap",),
        "certificate (PEM) to offer STARTTLS with, in `/evidence`; absent: STARTTLS is not offered",
        _file("tls-cert"),
    ),
    NodeSetting("TLS_KEY", ("imap",), "the private key of that certificate (PEM), in `/evidence`", _file("tls-key")),
    NodeSetting("TLS_KEYLOG", ROLES, "file for the secrets of TLS sessions, as SSLKEYLOGFILE has them (see below)"),
    NodeSetting(
        "IMAP_IDLE",
        ("media",),
        "seconds that it keeps an IMAP connection for another fetch",
        _field("imap_idle"),
    ),
    NodeSetting(
        "IMAP_CONTACT",
        ("media",),
        "its administrator's address, for an anonymous login",
        _field("imap_contact"),
    ),
    NodeSetting("IMAP_FETCH_TIME", ("media",), "the most seconds that a fetch may take", _field("imap_fetch_time")),
    NodeSetting("IMAP_MAX_PART", ("media",), "the most octets that a fetched part may have", _field("imap_max_part")),
    NodeSetting(
        "SERVICE",
        ("media",),
        "services to offer, `annc` and `ivr`; the others get 488; absent: all",
        _field("services"),
        many=True,
    ),
    NodeSetting(
        "SMIME_CERT",
        ("media", "client"),
        "its certificate for S/MIME (PEM, in `/evidence`); absent: it has none, and reads no encrypted body",
        _file("smime-cert"),
    ),
    NodeSetting(
        "SMIME_KEY",
        ("media", "client"),
        "the private key of that certificate (PEM, in `/evidence`)",
        _file("smime-key"),
    ),
    NodeSetting(
        "SMIME_PEER",
        ("media", "client"),
        "the certificate of the other node: MSCML for it is encrypted; absent: it is not",
        _file("smime-peer"),
    ),
    NodeSetting(
        "RESOLVE",
        ("media", "client"),
        "`NAME[:PORT]=ADDRESS[:PORT]`: before the network's own names, where a peer can",
        lambda world, _node: world.rules(),
        many=True,
    ),
    NodeSetting(
        "RECORDINGS",
        ("media",),
        "folder below which `<playrecord>` writes: `file:///recorded.wav` is `recorded.wav` there, and the testbed "
        "copies it from there at the end",
        container=EVIDENCE,
    ),
    NodeSetting(
        "SCRIPT",
        ("client",),
        "the file of the script, JSON: `account`, `media`, `media-length`, `steps`",
        container=f"{EVIDENCE}/script.json",
    ),
    NodeSetting(
        "HEARD",
        ("client",),
        "where a recording goes (WAV), where the tool can make one",
        container=f"{EVIDENCE}/heard.wav",
    ),
    NodeSetting(
        "TRACE_SALT",
        _ALL,
        "for the reference nodes alone: the salt of fingerprints in a trace",
        lambda world, _node: (world.setup.salt,),
    ),
    NodeSetting("TRACE", _ALL, "for the reference nodes alone: the file of the trace"),
    NodeSetting(
        "FAULT",
        _ALL,
        "for the reference nodes alone: a fault that the node has on purpose",
        lambda world, node: _texts(world.setup.faults.get(node)),
    ),
)
"""Every setting that the testbed gives to a node, in the order of the vendor contract."""


def options_of(world: World, node: str) -> list[str]:
    """Return the settings of a node as words of a command line; each value has its option before it."""
    return [
        word
        for setting, values in _given(world, node)
        if setting.option
        for value in values
        for word in (f"--{setting.name.lower().replace('_', '-')}", str(value))
    ]


def variables_of(world: World, node: str) -> dict[str, str]:
    """Return the settings of a node as environment variables of its container; several values are separated by blanks.

    Raises EnvironmentBroken for a value with white space that is to be part of a list.
    """
    found = {}
    for setting, values in _given(world, node):
        texts = [f"{EVIDENCE}/{value.name}" if isinstance(value, Path) else value for value in values]
        if setting.many and any(len(text.split()) != 1 for text in texts):
            raise EnvironmentBroken("an account with a blank in it cannot be told to a node in a container")
        found[f"LEMONADE_{setting.name}"] = " ".join(texts)
    return found


def fixed_variables(role: str) -> dict[str, str]:
    """Return the environment variables that are the same in each container of a role."""
    return {f"LEMONADE_{one.name}": one.container for one in SETTINGS if role in one.roles and one.container}


def contract_table() -> str:
    """Return the table of docs/vendor-contract.md that describes the environment variables, as Markdown."""
    return "\n".join(("| variable | roles | what it says |", "|---|---|---|", *(one.row() for one in SETTINGS)))


def _given(world: World, node: str) -> Iterator[tuple[NodeSetting, Sequence[str | Path]]]:
    kind = world.kind_of(node)
    for setting in SETTINGS:
        if kind in setting.roles and setting.values is not None and (values := setting.values(world, node)):
            yield setting, values
