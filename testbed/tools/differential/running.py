"""Starts the servers, runs every section of the sessions on each of them, and returns the facts of their answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from differential.facts import ToldFacts, facts
from differential.script import AccountSteps, DialogueStep, filled, line_of
from differential.talk import Talk
from lemonade_testbed.errors import ContractBroken
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.runtime.processes import ProcessTable
from lemonade_testbed.scenario.world import Setup
from lemonade_testbed.vendor_check.bench import Bench
from lemonade_testbed.vendors.catalogue import REFERENCE, Vendor
from lemonade_testbed.vendors.runtime import seed
from lemonade_wire.imap.framing import LogicalLine
from lemonade_wire.imap.response import Listed, parse_response

PASSWORD = "secret"  # noqa: S105  of accounts that exist as long as a test
MEDIA_SERVERS = "<sip:media.example.net>:submit+"
_AT_ONCE = 3
"""Sections that run on one server at the same time."""


@dataclass(frozen=True)
class RunningServer:
    """A running server: its name, and the IP address and port of IMAP."""

    name: str
    address: tuple[str, int]


def account(number: int) -> str:
    """Return the user name of a section's account; `number` is the section's position."""
    return f"someone{number}"


@contextmanager
def servers(folder: Path, vendors: Sequence[Vendor], accounts: int) -> Iterator[list[RunningServer]]:
    """Start the reference server as a process and the peers in containers; all are stopped and removed at the end.

    `accounts` is the number of accounts that each server gets. Raises EnvironmentBroken, and ContractBroken if a peer
    does not become ready.
    """
    users = {account(number): PASSWORD for number in range(accounts)}
    with ExitStack() as stack, ThreadPoolExecutor(len(vendors) + 1) as pool:
        benches = []
        for vendor in vendors:
            place = folder / vendor.name
            place.mkdir(parents=True)
            benches.append(stack.enter_context(Bench(place)))
        peers = pool.map(partial(_peer, users), vendors, benches)
        yield [_reference(stack, folder / REFERENCE, users), *peers]


def _reference(stack: ExitStack, folder: Path, users: Mapping[str, str]) -> RunningServer:
    folder.mkdir(parents=True)
    table = ProcessTable(folder)
    stack.callback(table.stop)
    runtime = LocalRuntime(table)
    stack.callback(runtime.stop)
    runtime.prepare(Setup(folder, users, submit_users=tuple(users)[:1], media_servers=MEDIA_SERVERS))
    runtime.start(["imap"])
    place = runtime.world.roles["imap"]
    return RunningServer(REFERENCE, (place.address, place.port))


def _peer(users: Mapping[str, str], vendor: Vendor, bench: Bench) -> RunningServer:
    told = " ".join(f"{name}:{password}" for name, password in users.items())
    extra = {"LEMONADE_USER": told, "LEMONADE_SUBMIT_USER": next(iter(users)), "LEMONADE_MEDIA_SERVERS": MEDIA_SERVERS}
    node = bench.node("imap", vendor.image, extra)
    ready, seen = bench.start(node)
    if not ready:
        log = node.log().decode("utf-8", "replace").splitlines()
        raise ContractBroken("imap", f"{vendor.name} was never ready: {seen}", log)
    seed(node)
    place = bench.world.roles["imap"]
    return RunningServer(vendor.name, (str(place.address), place.port))


def told_by(running: Sequence[RunningServer], sections: Sequence[AccountSteps]) -> dict[str, dict[str, list[str]]]:
    """Run all sections on all servers; returns for each server the facts of each step, by `SECTION | STEP`."""
    with ThreadPoolExecutor(_AT_ONCE * len(running)) as pool:
        told = {server.name: pool.map(partial(_say_section, server), enumerate(sections)) for server in running}
        return {name: {at: facts for part in parts for at, facts in part.items()} for name, parts in told.items()}


def _say_section(server: RunningServer, numbered: tuple[int, AccountSteps]) -> dict[str, list[str]]:
    number, section = numbered
    user = account(number)
    plain = base64.b64encode(f"\0{user}\0{PASSWORD}".encode()).decode("ascii")
    found: dict[str, list[str]] = {}
    with ExitStack() as stack:
        talks: dict[str, Talk] = {}
        seen = ToldFacts({"user": user, "plain": plain, "url": "", "modseq": "1"})
        for step in section.steps:
            if step.connection not in talks:
                talk = talks[step.connection] = stack.enter_context(Talk(server.address))
                greeting = talk.greeting()
                if step.logs_in:
                    _log_in(talk, user)
                    seen.values.setdefault("/", _separator(talk))
                else:
                    found[f"{section.title} | {step.connection} greeting"] = _facts(greeting, "", seen)
            found[f"{section.title} | {step.at}"] = _say(talks[step.connection], step, section, seen)
    return found


def _log_in(talk: Talk, user: str) -> None:
    talk.command(LogicalLine.of(f"LOGIN {user} {PASSWORD}".encode()))


def _separator(talk: Talk) -> str:
    _, lines = talk.command(LogicalLine.of(b'LIST "" ""'))
    for line in lines:
        response = parse_response(line)
        if isinstance(response, Listed) and response.delimiter:
            return response.delimiter
    return "/"


def _say(talk: Talk, step: DialogueStep, section: AccountSteps, seen: ToldFacts) -> list[str]:
    if talk.closed:
        return ["closed before"]
    if step.kind == "?":
        return [f"{step.text} came" if talk.wait(step.text.encode()) else f"no {step.text} came"]
    try:
        line = line_of(filled(step.text, {"/": "/"} | seen.values), section.messages)
    except KeyError as unknown:
        raise ValueError(f"{section.title} | {step.at}: {unknown} means nothing") from unknown
    tag, lines = talk.raw(line) if step.kind == "<" else talk.command(line)
    seen.learn(lines)
    told = _facts(lines, tag, seen)
    if talk.closed:
        # the BYE may be lost if the client still sends while the server closes (the connection is reset)
        told = [*(fact for fact in told if not fact.startswith("untagged BYE")), "closed"]
    return [*told, *(["silence"] if talk.silent else [])]


def _facts(lines: Sequence[LogicalLine], tag: str, seen: ToldFacts) -> list[str]:
    told = facts(lines, tag, seen.values.get("/", "/"), datetime.now(UTC))
    return [fact.replace(seen.values["user"], "$user") for fact in told]
