"""Checks whether a container image keeps the vendor contract (docs/vendor-contract.md), without running a scenario."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from lemonade_testbed.errors import ContractBroken
from lemonade_testbed.runtime.docker_node import DockerNode
from lemonade_testbed.runtime.provision import ProvisionConnection
from lemonade_testbed.scenario.world import IMAP_NAME, MEDIA_NAME
from lemonade_testbed.vendor_check.bench import PASSWORD, USER, Bench, note_stop
from lemonade_testbed.vendor_check.contract_client import check_client
from lemonade_testbed.vendor_check.findings import STOP, ContractVerdict
from lemonade_testbed.vendors.runtime import MAIL as MAIL_FOLDER
from lemonade_testbed.vendors.runtime import seed
from lemonade_wire.imap import command as commands
from lemonade_wire.imap.response import Exists, GenUrlAuthResponse
from lemonade_wire.sip.netann import escape

MAIL = (
    b"From: joe@example.com\r\nTo: joe@example.com\r\nSubject: contract\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: audio/basic\r\nContent-Transfer-Encoding: base64\r\n\r\n////////////////\r\n"
)


def check(role: str, image: str, folder: Path) -> ContractVerdict:
    """Check an image in a role; its logs and the verdict are written into `folder`. Raises EnvironmentBroken."""
    verdict = ContractVerdict(role, image)
    with Bench(folder) as bench:
        _CHECKS[role](bench, image, verdict)
    (folder / "contract.json").write_text(verdict.json(), encoding="utf-8")
    return verdict


def _start(bench: Bench, node: DockerNode, verdict: ContractVerdict, name: str) -> bool:
    """Start a server, wait until it answers, and run its seed hook; returns whether both went well.

    `name` is the point of the contract under which the start is noted.
    """
    if not verdict.note(name, *bench.start(node)):
        return False
    try:
        found = seed(node)
    except ContractBroken as problem:
        return verdict.note("seed", False, " ".join((problem.why, *problem.log[-2:])))
    if found:
        verdict.note("seed", True, "exit code 0")
    return True


def _imap(bench: Bench, image: str, verdict: ContractVerdict) -> None:
    node = bench.node("imap", image)
    token = None
    if _start(bench, node, verdict, "ready"):
        try:
            token = _ticket(bench)
            verdict.note("accounts", True, f"{USER} logged in and stored a message")
        except ContractBroken as problem:
            verdict.note("accounts", False, _with_log(bench, node, problem))
    note_stop(node, verdict)
    log = bench.keep_log(node)
    if token:
        verdict.note_token(log, token, ", after GENURLAUTH and URLFETCH")
    else:
        verdict.note("ticket", None, "not looked at: GENURLAUTH gave no ticket")
    if _start(bench, node, verdict, "restart"):
        try:
            count = _messages(bench)
            empty = verdict.note("empty", not count, f"{count} messages in INBOX")
        except ContractBroken as problem:
            empty = verdict.note("empty", False, _with_log(bench, node, problem))
        if empty:
            _own_mail(bench, node, verdict)
    bench.keep_log(node)


def _with_log(bench: Bench, node: DockerNode, problem: ContractBroken) -> str:
    """Return what the server did, with the last two lines of its log."""
    lines = bench.trace.redactor.text(bench.keep_log(node)).splitlines()[-2:]
    return " ".join((f"{problem.why}; its log ends:", *lines)) if lines else problem.why


def _own_mail(bench: Bench, node: DockerNode, verdict: ContractVerdict) -> None:
    """Put a message into the mail folder, and note whether the server (`folder`) or its hook (`hook`) stores it."""
    node.kill()
    node.ended(STOP)
    node.put(MAIL_FOLDER, {f"{USER}/INBOX/contract.eml": MAIL})
    ready, seen = bench.start(node)
    if not ready:
        verdict.note("mail", False, f"with a message there: {seen}")
        return
    try:
        before = _messages(bench)
        seed(node)
        after = _messages(bench)
    except ContractBroken as problem:
        verdict.note("mail", False, f"with a message there: {_with_log(bench, node, problem)}")
        return
    who = "by the server as it starts (mail: folder)" if before else "by its hook (mail: hook)"
    told = {0: "left alone (mail: append)", 1: f"stored {who}"}.get(after, f"stored {after} times")
    verdict.note("mail", after == 1 if after else None, told)


def _ticket(bench: Bench) -> str | None:
    """Store a message, authorise its URL, and fetch the URL as an anonymous user; returns the token or None."""
    with ProvisionConnection(bench.world, bench.trace) as mailbox:
        mailbox.log_in(USER, PASSWORD)
        mailbox.run(commands.append("INBOX", MAIL))
        mailbox.run(commands.select("INBOX"))
        url = f"imap://{USER}@{IMAP_NAME}/INBOX/;UID=1/;SECTION=1;URLAUTH=anonymous"
        done = mailbox.ask(commands.genurlauth(url))
        urls = [url for one in done.untagged if isinstance(one, GenUrlAuthResponse) for url in one.urls]
        if not done.ok or not urls or ":" not in urls[0]:
            return None
    with ProvisionConnection(bench.world, bench.trace) as stranger:
        if stranger.ask(commands.authenticate_anonymous("contract")).ok:
            stranger.ask(commands.urlfetch(urls[0], ("BINARY",)))
    return urls[0].rpartition(":")[2]


def _messages(bench: Bench) -> int:
    with ProvisionConnection(bench.world, bench.trace) as mailbox:
        mailbox.log_in(USER, PASSWORD)
        done = mailbox.ask(commands.examine("INBOX"))  # NO if there is no INBOX yet, and so no message
        return next((one.count for one in done.untagged if isinstance(one, Exists)), 0)


def _media(bench: Bench, image: str, verdict: ContractVerdict) -> None:
    node = bench.node("media", image)
    token, answer = secrets.token_hex(20), ""
    ready = _start(bench, node, verdict, "ready")
    if ready:
        answer = _invite(bench, token)
    note_stop(node, verdict)
    log = bench.keep_log(node)
    if ready:
        verdict.note_token(log, token, f", after an INVITE that was answered with {answer or 'nothing'}")
    _start(bench, node, verdict, "restart")


def _invite(bench: Bench, token: str) -> str:
    """Send an INVITE that plays a URL of an IMAP server that does not run; returns the last answer's first line.

    The URL has the token `token`. The result is empty if no answer comes.
    """
    place, here = bench.world.roles["media"], bench.world.roles["testbed"].address
    url = f"imap://{USER}@{IMAP_NAME}/INBOX;UIDVALIDITY=1/;UID=1/;SECTION=1;URLAUTH=anonymous:internal:{token}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((here, 0))
        own.settimeout(STOP)
        local = f"{here}:{own.getsockname()[1]}"
        sdp = f"v=0\r\no=- 1 1 IN IP4 {here}\r\ns=-\r\nc=IN IP4 {here}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
        head = (
            f"INVITE sip:annc@{MEDIA_NAME};play={escape(url)} SIP/2.0",
            f"Via: SIP/2.0/UDP {local};branch=z9hG4bK{token};rport",
            "Max-Forwards: 70",
            f"From: <sip:testbed@{local}>;tag={token[:8]}",
            f"To: <sip:annc@{MEDIA_NAME}>",
            f"Call-ID: {token[:12]}@{here}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:testbed@{local}>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(sdp)}",
        )
        own.sendto(("\r\n".join((*head, "", "")) + sdp).encode(), (place.address, place.port))
        answer = ""
        try:
            while not answer or answer.startswith("SIP/2.0 1"):
                answer = own.recv(65535).decode("utf-8", "replace").partition("\r\n")[0]
        except OSError:
            pass
    return answer


_CHECKS: Mapping[str, Callable[[Bench, str, ContractVerdict], None]] = {
    "imap": _imap,
    "media": _media,
    "client": check_client,
}
