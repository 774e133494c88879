"""tshark as the second reader of SIP, SDP, RTP and RTCP, and for the reassembly of TCP.

It gets the capture on its standard input, so that it may run anywhere: on the host, or in a container without mounts.
"""

from __future__ import annotations

import base64
import binascii
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lemonade_testbed.runtime.docker_tools import docker_command

Run = Callable[[Sequence[str], Path], bytes]
"""Runs tshark with arguments and a capture as its standard input; returns its output, raises TsharkError."""

IMAGE = "lemonade-capture"
PATIENCE = 120.0
"""Seconds that one reading may take on a busy machine."""
_ALWAYS = ("-n", "--disable-protocol", "imap", "--enable-heuristic", "rtp_udp", "-r", "-")
_IN_ORDER = ("-o", "tcp.reassemble_out_of_order:TRUE")
_FIELDS = (
    "frame.number", "frame.time_epoch", "frame.protocols", "ip.src", "ip.dst", "udp.srcport", "udp.dstport",
    "tcp.srcport", "tcp.dstport", "tcp.stream", "tcp.len", "tcp.seq", "udp.payload",
    "sip.Method", "sip.Status-Code", "sip.CSeq", "sip.Call-ID",
    "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.marker", "rtp.payload", "rtcp.pt",
    "tls.handshake.type", "tls.handshake.random",
    "_ws.malformed", "_ws.expert.severity", "_ws.expert.message",
)  # fmt: skip
_MANY = "\x1e"
_ERROR = 0x800000
_MISSING = re.compile(rb"\[[0-9]+ bytes missing in capture file\]")


class TsharkError(RuntimeError):
    """tshark cannot be run, or does not read the capture; the text says why."""


@dataclass(frozen=True)
class Frame:
    """One packet as tshark reads it.

    `number` from 1; `t` seconds since 1970; `source` and `target` as `ip:port`; `fields` the first value of each
    field that is there, by tshark's name; `errors` what is malformed or an error by its experts.
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

    def octets(self, name: str) -> bytes:
        """Return a field of octets; empty where it is missing."""
        return bytes.fromhex(self.fields.get(name, "").replace(":", ""))

    def number_of(self, name: str) -> int:
        """Return a field as a number, which tshark writes in decimal, with `0x`, or as a truth value."""
        text = self.fields.get(name, "0")
        return {"True": 1, "False": 0}[text] if text in {"True", "False"} else int(text, 0)


@dataclass(frozen=True)
class Chunk:
    """Octets of a TCP connection in their order: who sent them (`ip:port`), when, in which packet."""

    number: int
    t: float
    source: str
    target: str
    data: bytes


@dataclass(frozen=True)
class Stream:
    """A reassembled TCP connection; `peers` as `ip:port`, who opened it first; `whole`: no octet is missing.

    `chunks` are in the order in which they could be read: one that came too early stands behind what it waited for.
    """

    peers: tuple[str, str]
    chunks: tuple[Chunk, ...]
    whole: bool = True


def command_runner(program: Sequence[str]) -> Run:
    """Return a runner for a tshark that a command starts: `tshark`, or `docker run --rm -i IMAGE tshark`."""

    def run(arguments: Sequence[str], capture: Path) -> bytes:
        try:
            with capture.open("rb") as octets:
                done = subprocess.run(  # noqa: S603  the arguments are this module's
                    [*program, *arguments], stdin=octets, capture_output=True, timeout=PATIENCE, check=False
                )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise TsharkError(f"{program[0]}: {problem}") from problem
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip().splitlines()
            raise TsharkError(f"tshark ended with {done.returncode}: {told[-1] if told else 'no word'}")
        return done.stdout

    return run


@dataclass(frozen=True)
class Tshark:
    """The second reader; `run` starts the program."""

    run: Run

    def frames(self, capture: Path, sip_ports: Sequence[int] = ()) -> list[Frame]:
        """Return every IPv4 packet of a capture in its order; raises TsharkError."""
        ports = [word for port in sip_ports for word in ("-d", f"udp.port=={port},sip")]
        fields = [word for name in _FIELDS for word in ("-e", name)]
        shape = ("-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", f"aggregator={_MANY}")
        out = self.run([*_ALWAYS, *ports, *shape, *fields], capture)
        return [frame for line in out.decode(errors="replace").split("\n") if line for frame in _frame(line)]

    def streams(self, capture: Path, numbers: Sequence[int]) -> list[Stream]:
        """Return TCP connections, by tshark's numbers for them, reassembled; raises TsharkError."""
        if not numbers:
            return []
        follow = [word for number in numbers for word in ("-z", f"follow,tcp,yaml,{number}")]
        return list(_streams(self.run([*_ALWAYS, "-q", *follow], capture).decode(errors="replace")))

    def decrypted(self, capture: Path, frames: Mapping[int, Frame], numbers: Sequence[int]) -> list[Chunk]:
        """Return what was said inside TLS on connections, by tshark's numbers for them; raises TsharkError.

        The capture holds the keys; `frames` are its packets by number.
        """
        if not numbers:
            return []
        follow = [word for number in numbers for word in ("-z", f"follow,tls,yaml,{number}")]
        out = self.run([*_ALWAYS, *_IN_ORDER, "-q", *follow], capture).decode(errors="replace")
        found = list(_chunks(out))
        if strange := [number for number, *_ in found if number not in frames]:
            raise TsharkError(f"tshark read TLS in packet {strange[0]}, which it did not list")
        # its words on the two ends are not used: version 4.0 leaves one of them out
        return [Chunk(number, t, frames[number].source, frames[number].target, data) for number, _, t, data in found]


def installed_tshark() -> Tshark | None:
    """Return the tshark of this machine, or else that of the capture's image, or None."""
    if program := shutil.which("tshark"):
        return Tshark(command_runner([program]))
    docker = docker_command()
    if docker is None:
        return None
    known = subprocess.run([docker, "image", "inspect", IMAGE], capture_output=True, check=False)  # noqa: S603
    return Tshark(_container_runner(docker)) if known.returncode == 0 else None


def _container_runner(docker: str) -> Run:
    """Return a runner for the tshark of the capture's image, in a container that is reaped like those of the run."""
    from lemonade_testbed.runtime.docker_engine import labels  # noqa: PLC0415  a third of a second that others save

    def run(arguments: Sequence[str], capture: Path) -> bytes:
        told = [word for name, value in labels(run_of(capture)).items() for word in ("--label", f"{name}={value}")]
        container = [docker, "run", "--rm", "-i", *told, "--network", "none", "--entrypoint", "tshark", IMAGE]
        return command_runner(container)(arguments, capture)

    return run


def run_of(capture: Path) -> Path:
    """Return the folder of the run that a capture is of: it lies in `RUN/SCENARIO/secret`, or else where it lies."""
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
    )


def _errors(every: Mapping[str, Sequence[str]]) -> Iterator[str]:
    severities, messages = every["_ws.expert.severity"], every["_ws.expert.message"]
    for severity, message in zip(severities, messages, strict=False):
        if severity and int(severity, 0) == _ERROR:
            yield message
    if every["_ws.malformed"] != [""] and str(_ERROR) not in severities:
        yield "malformed packet"


_PEER = re.compile(r"^  - peer: ([01])\n    host: (\S+)\n    port: ([0-9]+)$", re.MULTILINE)
_CHUNK = re.compile(
    r"^  - packet: ([0-9]+)\n    peer: ([01])\n    (?:index: [0-9]+\n    )?timestamp: ([0-9.]+)\n"
    r"    data: !!binary \|\n((?:      .*\n?)*)",
    re.MULTILINE,
)


def _streams(text: str) -> Iterator[Stream]:
    for part in re.split(r"^peers:\n", text, flags=re.MULTILINE)[1:]:
        peers = {number: f"{host}:{port}" for number, host, port in _PEER.findall(part)}
        if set(peers) != {"0", "1"}:
            raise TsharkError("tshark's connection has not two ends")
        chunks = [
            Chunk(number, t, peers[peer], peers["1" if peer == "0" else "0"], data)
            for number, peer, t, data in _chunks(part)
        ]
        whole = not any(_MISSING.search(chunk.data) for chunk in chunks)
        yield Stream((peers["0"], peers["1"]), tuple(chunks), whole)


def _chunks(text: str) -> list[tuple[int, str, float, bytes]]:
    """Return packet, end, time and octets of each piece of a connection."""
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
