"""Runs tshark to read SIP, SDP, RTP and RTCP in a capture, to reassemble TCP connections and to decrypt TLS.

tshark gets the capture on its standard input, so that it can run on the host, or in a container without mounts.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lemonade_testbed.capture.bodies import FIELDS
from lemonade_testbed.containers.tools import docker_command

Run = Callable[[Sequence[str], Path], bytes]
"""Runs tshark with arguments and a capture as its standard input; returns its output, raises TsharkError."""

IMAGE = "lemonade-capture"
PATIENCE = 120.0
"""Seconds after which a run of tshark is stopped."""
_ALWAYS = ("-n", "--disable-protocol", "imap", "--enable-heuristic", "rtp_udp", "-r", "-")
_IN_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")
_FIELDS = (
    "frame.number", "frame.time_epoch", "frame.protocols", "ip.src", "ip.dst", "udp.srcport", "udp.dstport",
    "tcp.srcport", "tcp.dstport", "tcp.stream", "tcp.len", "tcp.seq", "udp.payload",
    "sip.Method", "sip.Status-Code", "sip.CSeq", "sip.Call-ID",
    "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker", "rtp.payload", "rtcp.pt",
    "tls.handshake.type", "tls.handshake.random",
    "_ws.malformed", "_ws.expert.severity", "_ws.expert.message",
    *FIELDS,
)  # fmt: skip
_MANY = "\x1e"
_ERROR = 0x800000
_MISSING = re.compile(rb"\[[0-9]+ bytes missing in capture file\]")
_PEER = re.compile(r"^  - peer: ([01])\n    host: (\S+)\n    port: ([0-9]+)$", re.MULTILINE)
_CHUNK = re.compile(
    r"^  - packet: ([0-9]+)\n    peer: ([01])\n    (?:index: [0-9]+\n    )?timestamp: ([0-9.]+)\n"
    r"    data: !!binary \|\n((?:      .*\n?)*)",
    re.MULTILINE,
)


class TsharkError(RuntimeError):
    """tshark cannot be run, or fails on the capture; the text says why."""


@dataclass(frozen=True)
class Frame:
    """One packet as tshark reads it.

    `number` counts from 1; `t` is in seconds since 1970; `transport` is `udp` or `tcp`; `source` and `target` are
    `ip:port`. `fields` has the first value of each field that the packet has, by tshark's name. `kinds` are its RTCP
    packet types. `errors` are what tshark reports as malformed or as an error. `messages` is the number of SIP messages
    in it. `bodies` has all values of the fields of bodies and telephone-events.
    """

    number: int
    t: float
    protocols: tuple[str, ...]
    transport: str
    source: str
    target: str
    fields: Mapping[str, str]
    kinds: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()
    messages: int = 0
    bodies: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def octets(self, name: str) -> bytes:
        """Return a field of octets; empty where it is missing."""
        return bytes.fromhex(self.fields.get(name, "").replace(":", ""))

    def number_of(self, name: str) -> int:
        """Return a field as a number, which tshark writes in decimal, with `0x`, or as a truth value."""
        text = self.fields.get(name, "0")
        return {"True": 1, "False": 0}[text] if text in {"True", "False"} else int(text, 0)


@dataclass(frozen=True)
class Chunk:
    """Octets of a TCP connection: the number and time of their packet, their sender and receiver as `ip:port`."""

    number: int
    t: float
    source: str
    target: str
    data: bytes


@dataclass(frozen=True)
class TcpStream:
    """A reassembled TCP connection.

    `peers` are its two ends as `ip:port`, first the one that opened it. `chunks` are in the order of the stream: a
    segment that arrived out of order stands where its octets belong. `whole` is True if no octet is missing.
    """

    peers: tuple[str, str]
    chunks: tuple[Chunk, ...]
    whole: bool = True


def command_runner(program: Sequence[str]) -> Run:
    """Return a function that runs tshark by a command, such as `tshark` or `docker run --rm -i IMAGE tshark`."""

    def run(arguments: Sequence[str], capture: Path) -> bytes:
        try:
            with capture.open("rb") as octets:
                done = subprocess.run(  # noqa: S603  the arguments are this module's
                    [*program, *arguments], stdin=octets, capture_output=True, timeout=PATIENCE, check=False
                )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise TsharkError(f"{program[0]}: {problem}") from problem
        if done.returncode:
            errors = done.stderr.decode(errors="replace").strip().splitlines()
            raise TsharkError(f"tshark ended with {done.returncode}: {errors[-1] if errors else 'no message'}")
        return done.stdout

    return run


@dataclass(frozen=True)
class Tshark:
    """Reads captures with tshark; `run` starts the program."""

    run: Run

    def frames(self, capture: Path, sip_ports: Sequence[int] = ()) -> list[Frame]:
        """Return the TCP and UDP packets over IPv4 of a capture in its order; raises TsharkError.

        `sip_ports` are UDP ports that tshark must read as SIP, besides its default ports.
        """
        ports = [word for port in sip_ports for word in ("-d", f"udp.port=={port},sip")]
        fields = [word for name in _FIELDS for word in ("-e", name)]
        shape = ("-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", f"aggregator={_MANY}")
        out = self.run([*_ALWAYS, *ports, *shape, *fields], capture)
        return [frame for line in out.decode(errors="replace").split("\n") if line for frame in _frame(line)]

    def streams(self, capture: Path, numbers: Sequence[int]) -> list[TcpStream]:
        """Return reassembled TCP connections; `numbers` are tshark's numbers of them (`tcp.stream`).

        Raises TsharkError.
        """
        if not numbers:
            return []
        follow = [word for number in numbers for word in ("-z", f"follow,tcp,yaml,{number}")]
        return list(_streams(self.run([*_ALWAYS, "-q", *follow], capture).decode(errors="replace")))

    def decrypted(self, capture: Path, frames: Mapping[int, Frame], numbers: Sequence[int]) -> list[Chunk]:
        """Return the decrypted octets of TLS connections; `numbers` are tshark's numbers of them (`tcp.stream`).

        The capture holds the keys; `frames` are its packets by number. Raises TsharkError.
        """
        if not numbers:
            return []
        follow = [word for number in numbers for word in ("-z", f"follow,tls,yaml,{number}")]
        out = self.run([*_ALWAYS, *_IN_ORDER, "-q", *follow], capture).decode(errors="replace")
        found = list(_chunks(out))
        if strange := [number for number, *_ in found if number not in frames]:
            raise TsharkError(f"tshark read TLS in packet {strange[0]}, which it did not list")
        # the two ends are those of the packet: in the output of tshark 4.0 one of them is missing
        return [Chunk(number, t, frames[number].source, frames[number].target, data) for number, _, t, data in found]


def installed_tshark() -> Tshark | None:
    """Return the tshark that is installed on this machine, or else that of the capture's image, or None."""
    if program := shutil.which("tshark"):
        return Tshark(command_runner([program]))
    docker = docker_command()
    if docker is None:
        return None
    known = subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False)  # noqa: S603
    return Tshark(_container_runner(docker)) if known.returncode == 0 else None


def _container_runner(docker: str) -> Run:
    """Return a function that runs the tshark of the capture's image.

    Its container has the labels of the run, so that it is removed with the run's other containers if this program is
    killed.
    """
    from lemonade_testbed.containers.engine import labels  # noqa: PLC0415  the import takes a third of a second

    def run(arguments: Sequence[str], capture: Path) -> bytes:
        options = [word for name, value in labels(run_of(capture)).items() for word in ("--label", f"{name}={value}")]
        container = [docker, "run", "--rm", "-i", *options, "--network", "none", "--entrypoint", "tshark", IMAGE]
        return command_runner(container)(arguments, capture)

    return run


def run_of(capture: Path) -> Path:
    """Return the folder of the run to which a capture belongs.

    A run's capture is in `RUN/SCENARIO/secret`; for any other capture the folder is the one that holds it.
    """
    secret = capture.absolute().parent
    return secret.parents[1] if secret.name == "secret" and len(secret.parents) > 1 else secret


def _frame(line: str) -> Iterator[Frame]:
    values = [value.split(_MANY) for value in line.split("\t")]
    if len(values) != len(_FIELDS):
        raise TsharkError(f"tshark gave {len(values)} fields for {len(_FIELDS)}")
    every = dict(zip(_FIELDS, values, strict=True))
    fields = {name: value[0] for name, value in every.items() if value != [""]}
    protocols = tuple(fields.get("frame.protocols", "").split(":"))
    if "ip.src" not in fields or "icmp" in protocols:  # ICMP repeats the head of another packet, cut short
        return
    transport = "udp" if "udp.srcport" in fields else "tcp"
    source, target = (f"{fields[f'ip.{end}']}:{fields.get(f'{transport}.{end}port', '0')}" for end in ("src", "dst"))
    yield Frame(
        int(fields["frame.number"]),
        float(fields["frame.time_epoch"]),
        protocols,
        transport,
        source,
        target,
        fields,
        tuple(int(kind) for kind in every["rtcp.pt"] if kind),
        tuple(_errors(every)),
        sum(map(bool, every["sip.Call-ID"])),
        {name: every[name] for name in FIELDS if every[name] != [""]},
    )


def _errors(every: Mapping[str, Sequence[str]]) -> Iterator[str]:
    severities, messages = every["_ws.expert.severity"], every["_ws.expert.message"]
    for severity, message in zip(severities, messages, strict=False):
        if severity and int(severity, 0) == _ERROR:
            yield message
    if every["_ws.malformed"] != [""] and str(_ERROR) not in severities:
        yield "malformed packet"


def _streams(text: str) -> Iterator[TcpStream]:
    for part in re.split(r"^peers:\n", text, flags=re.MULTILINE)[1:]:
        peers = {number: f"{host}:{port}" for number, host, port in _PEER.findall(part)}
        if set(peers) != {"0", "1"}:
            raise TsharkError("tshark's connection has not two ends")
        chunks = [
            Chunk(number, t, peers[peer], peers["1" if peer == "0" else "0"], data)
            for number, peer, t, data in _chunks(part)
        ]
        whole = not any(_MISSING.search(chunk.data) for chunk in chunks)
        yield TcpStream((peers["0"], peers["1"]), tuple(chunks), whole)


def _chunks(text: str) -> list[tuple[int, str, float, bytes]]:
    """Return the pieces of a connection from tshark's YAML: packet, number of the sending end, time and octets."""
    found = []
    for number, peer, t, lines in _CHUNK.findall(text):
        try:
            data = base64.b64decode("".join(lines.split()), validate=True)
        except binascii.Error as problem:
            raise TsharkError(f"tshark's octets of packet {number} cannot be read: {problem}") from problem
        found.append((int(number), peer, float(t), data))
    if len(found) != text.count("- packet:"):
        raise TsharkError("tshark's connection is written in an unknown way")
    return found
