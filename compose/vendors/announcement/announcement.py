"""The mail half of a client of the announcement service, with Python's own imaplib, for tools that only make calls.

A tool's `run` calls `main` with a function that makes the call. Exit codes as the vendor contract has them: 0 the
script is done, 1 a step failed, 2 the script or the environment is wrong, 127 this client does not do that.
"""

import imaplib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

SUPPORTED = ("find-part", "authorise", "announce", "listen", "hang-up")
KNOWN = {
    "find-part": {"type", "mailbox"},
    "authorise": {"access", "expire"},
    "announce": {"offer", "video", "url", "expect"},
    "listen": {"until"},
    "hang-up": set(),
}
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
PAYLOADS = {"PCMU/8000": 0, "GSM/8000": 3, "PCMA/8000": 8, "G722/8000": 9, "H261/90000": 31, "H263/90000": 34}
TICKET = re.compile(r"(?::|%(?:25)*3a)internal(?::|%(?:25)*3a)[^\s\"'<>;,&(){}]+", re.IGNORECASE)

Steps = dict[str, dict[str, Any]]


class UnsupportedError(Exception):
    """The script wants what this client does not do."""


class StepError(Exception):
    """A step failed."""


@dataclass
class Call:
    """A call to make.

    `target`: the Request-URI. `audio`, `video`: codecs such as PCMU/8000. `expect`: the final status, 404 or 4xx say.
    `seconds`: how long to listen before hanging up; None: until the other side says BYE. `patience`: seconds that
    anything may take. `heard`: where a recording goes; None: nowhere.
    """

    target: str = field(repr=False)
    media_host: str
    media_port: int
    audio: list[str]
    video: list[str]
    expect: str
    seconds: float | None
    patience: float
    heard: str | None
    own_address: str
    own_port: int
    rtp_port: int


def log(text: str) -> None:
    """Write a line to the container's log, without any ticket."""
    print(TICKET.sub(" (and its ticket)", text), file=sys.stderr, flush=True)


def seconds(text: str) -> float:
    """Read a duration such as `10 min`; raises ValueError."""
    found = re.fullmatch(r"(-?[0-9.]+) *(ms|s|min|h)", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration")
    return float(found[1]) * UNITS[found[2]]


def main(make_call: Callable[[Call], None], *, video: bool = False) -> None:
    """Carry out the script; `make_call(call)` returns, or raises StepError. `video`: the tool can offer video."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with open(os.environ["LEMONADE_SCRIPT"], encoding="utf-8") as file:
            script = json.load(file)
        steps = read_steps(script["steps"], video=video)
    except UnsupportedError as why:
        log(f"unsupported: {why}")
        sys.exit(127)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        log(f"the script cannot be read: {problem!r}")
        sys.exit(2)
    try:
        url = authorise(script["account"], steps)
        if "announce" in steps:
            make_call(plan_call(script, steps, url))
    except (StepError, imaplib.IMAP4.error, OSError) as problem:
        log(f"failed: {problem}")
        sys.exit(1)
    log("done")


def read_steps(listed: list[Any], *, video: bool) -> Steps:
    """Return verb to arguments; raises UnsupportedError for anything but one announcement."""
    steps: Steps = {}
    for given in listed:
        step = {given: {}} if isinstance(given, str) else dict(given)
        step.pop("within", None)
        ((verb, arguments),) = step.items()
        arguments = arguments if isinstance(arguments, dict) else {}
        if verb not in SUPPORTED:
            raise UnsupportedError(f"the verb {verb}")
        unknown = set(arguments) - KNOWN[verb] - {"within"}
        if unknown or verb in steps:
            raise UnsupportedError(f"{verb} {', '.join(unknown) or 'twice'}")
        steps[verb] = arguments
    order = [SUPPORTED.index(verb) for verb in steps]
    if order != sorted(order) or "authorise" not in steps:
        raise UnsupportedError(f"the steps {', '.join(steps)} in this order")
    announce = steps.get("announce", {})
    if announce.get("video") and not video:
        raise UnsupportedError("an offer of video")
    for codec in [*announce.get("offer", []), *announce.get("video", [])]:
        if codec not in PAYLOADS:
            raise UnsupportedError(f"the codec {codec}")
    if steps.get("listen", {}).get("until") == "response":
        raise UnsupportedError("waiting for a response")
    if "listen" in steps and steps["listen"].get("until") != "bye" and "hang-up" not in steps:
        raise UnsupportedError("listening for a while without hanging up")
    return steps


def authorise(account: dict[str, str], steps: Steps) -> str:
    """Find the part of the newest message and have its URL authorised; returns the URL with its ticket."""
    imaplib.Commands["GENURLAUTH"] = ("SELECTED",)
    host, port = address_of(account["host"], int(account.get("port", 143)))
    with imaplib.IMAP4(host, port, timeout=30) as server:
        plain = f"\0{account['user']}\0{account['password']}".encode()
        server.authenticate("PLAIN", lambda _: plain)
        server.capability()  # what counts is what is offered after login
        wanted = steps["find-part"].get("type", "audio/*")
        mailbox = steps["find-part"].get("mailbox", "INBOX")
        need(server.select(f'"{mailbox}"', readonly=True), "SELECT")  # imaplib quotes nothing
        validity = server.response("UIDVALIDITY")[1][0].decode()
        uids = need(server.uid("SEARCH", "ALL"), "SEARCH")[0].split()
        if not uids:
            raise StepError(f"find-part: {mailbox} is empty")
        uid = uids[-1].decode()
        answer = need(server.uid("FETCH", uid, "(BODYSTRUCTURE)"), "FETCH")
        section = find_part(structure_of(answer), wanted)
        if section is None:
            raise StepError(f"find-part: no part is {wanted}")
        access = steps["authorise"].get("access", "anonymous")
        access = f"submit+{account['user']}" if access == "submit+" else access
        expire = steps["authorise"].get("expire", "none")
        until = ""
        if expire != "none":
            at = datetime.now(UTC) + timedelta(seconds=seconds(expire))
            until = f";EXPIRE={at:%Y-%m-%dT%H:%M:%SZ}"
        user = quote(account["user"], safe="")
        rump = (
            f"imap://{user}@{account['host']}/{quote(mailbox)};UIDVALIDITY={validity}/;UID={uid}/;SECTION={section}"
            f"{until};URLAUTH={access}"
        )
        status, _ = server._simple_command("GENURLAUTH", f'"{rump}"', "INTERNAL")
        if status != "OK":
            raise StepError(f"authorise: GENURLAUTH was answered with {status}")
        url = str(server.response("GENURLAUTH")[1][0], "ascii").strip().strip('"')
        if not re.fullmatch(re.escape(rump) + r":internal:[0-9a-f]{32,}", url, re.IGNORECASE):
            raise StepError("authorise: the URL is not what was asked for with a token behind it")
        server.logout()
    return url


def need(answer: tuple[str, list[Any]], what: str) -> list[Any]:
    """Return the data of an OK answer."""
    status, data = answer
    if status != "OK":
        raise StepError(f"{what} was answered with {status}")
    return data


def structure_of(answer: list[Any]) -> list[Any]:
    """Return the BODYSTRUCTURE of a FETCH answer as nested lists."""
    octets = b""
    for piece in answer:  # imaplib gives the octets of a literal as the second of a pair
        octets += piece if isinstance(piece, bytes) else piece[0].rpartition(b"{")[0] + b'"' + piece[1] + b'"'
    text = octets.decode("utf-8", "replace")
    words = re.findall(r'\(|\)|"(?:[^"\\]|\\.)*"|[^\s()"]+', text[text.upper().index("BODYSTRUCTURE") + 13 :])
    stack: list[list[Any]] = [[]]
    for word in words:
        if word == "(":
            stack.append([])
        elif word == ")":
            if len(stack) == 1:
                break
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(word.strip('"'))
    found: list[Any] = stack[0][0]
    return found


def find_part(part: list[Any], wanted: str, section: str = "") -> str | None:
    """Return the section of the first part of the type wanted (`audio/*`), or None."""
    if isinstance(part[0], list):
        parts = [child for child in part if isinstance(child, list)]
        count = next(place for place, child in enumerate(part) if not isinstance(child, list))
        for number, child in enumerate(parts[:count], 1):
            found = find_part(child, wanted, f"{section}.{number}" if section else str(number))
            if found:
                return found
        return None
    major, minor = wanted.lower().split("/")
    matches = part[0].lower() == major and minor in {"*", part[1].lower()}
    return (section or "1") if matches else None


def plan_call(script: dict[str, Any], steps: Steps, url: str) -> Call:
    """Return the call that `announce`, `listen` and `hang-up` ask for."""
    announce, listen = steps["announce"], steps.get("listen", {})
    given = announce.get("url", "$url").replace("$url", url)
    host = script["media"].partition(":")[2].partition("@")[2] or script["media"].partition(":")[2]
    host, _, port = host.partition(":")
    until = listen.get("until", "bye")
    address, media_port = address_of(host, int(port or 5060))
    ports = os.environ.get("LEMONADE_RTP_PORTS", "20000-20100").partition("-")
    own, _, own_port = os.environ.get("LEMONADE_LISTEN", ":5060").rpartition(":")
    # RFC 4240 section 3: in a SIP URI's parameter, what RFC 3261 does not allow there is escaped once.
    play = quote(given, safe="[]/:&+$-_.!~*'()")
    return Call(
        target=f"sip:annc@{host}{':' + port if port else ''};play={play}",
        media_host=address,
        media_port=media_port,
        audio=list(announce.get("offer", [])) or ([] if announce.get("video") else ["PCMU/8000"]),
        video=list(announce.get("video", [])),
        expect=announce.get("expect", "200"),
        seconds=None if until == "bye" else seconds(until),
        patience=float(script.get("media-length", 60)) + 5,
        heard=os.environ.get("LEMONADE_HEARD"),
        own_address=own_address(own, address),
        own_port=int(own_port),
        rtp_port=int(ports[0]),
    )


def address_of(host: str, port: int) -> tuple[str, int]:
    """Return where a name is: by the rules NAME[:PORT]=ADDRESS[:PORT] of LEMONADE_RESOLVE, else by the network."""
    for rule in os.environ.get("LEMONADE_RESOLVE", "").split():
        name, _, where = rule.partition("=")
        if name in {host, f"{host}:{port}"}:
            address, _, other = where.partition(":")
            return address, int(other or port)
    return socket.gethostbyname(host), port


def own_address(given: str, peer: str) -> str:
    """Return the address that this client calls from: the one given, or the one on the way to `peer`."""
    if given and given != "0.0.0.0":  # noqa: S104  a name for any address
        return socket.gethostbyname(given)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))
        return str(probe.getsockname()[0])


def is_expected(status: str, expect: str) -> bool:
    """Tell whether a final status is the one expected (`404`, `4xx`)."""
    return re.fullmatch(expect.replace("x", "[0-9]"), str(status)) is not None
