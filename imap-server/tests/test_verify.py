# ruff: noqa: ANN401  the class of `world` lives in conftest, which importlib mode does not let tests import
"""No oracle: what a refusal costs does not depend on its reason. Work is counted, since time is not to be tested."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from lemonade_imap import urlauth
from lemonade_imap.policy import TicketPolicy
from lemonade_imap.store.runner import InlineRunner
from lemonade_imap.urlauth import Refusal

INBOX = "imap://joe@imap.example.com/INBOX"
RUMP = INBOX + "/;UID=1/;SECTION=2;URLAUTH="
TOKEN = ":INTERNAL:01" + "0" * 64
STORE_METHODS = ("with_key", "mailbox", "mailboxes", "create", "key", "make_key", "message", "messages", "uids", "read")


def signed(world: Any, rump: str) -> str:
    """Return a URL with the right token, as GENURLAUTH would give if it authorised everything."""
    store = world.server.store
    key = store.make_key(store.mailbox("joe", "INBOX"))
    return f"{rump}:INTERNAL:01{hmac.new(key, rump.encode(), hashlib.sha256).hexdigest()}"


REFUSED: list[tuple[Refusal, Callable[[Any], str]]] = [
    (Refusal.MALFORMED, lambda _: "nonsense"),
    (Refusal.MALFORMED, lambda _: "imap://joe@imap.example.com/"),
    (Refusal.MALFORMED, lambda _: INBOX),
    (Refusal.MALFORMED, lambda _: INBOX + "?SUBJECT%20x"),
    (Refusal.MALFORMED, lambda _: RUMP + "anonymous"),
    (Refusal.MALFORMED, lambda _: INBOX + "/;UID=1"),
    (Refusal.MECHANISM, lambda _: RUMP + "anonymous:XSAMPLE:" + "0" * 66),
    (Refusal.HOST, lambda _: RUMP.replace("imap.", "pop.") + "anonymous" + TOKEN),
    (Refusal.HOST, lambda _: RUMP.replace(".com", ".com:99") + "anonymous" + TOKEN),
    (Refusal.MAILBOX, lambda _: RUMP.replace("joe", "nobody") + "anonymous" + TOKEN),
    (Refusal.MAILBOX, lambda _: RUMP.replace("joe@", "") + "anonymous" + TOKEN),
    (Refusal.MAILBOX, lambda _: RUMP.replace("joe", "ann") + "anonymous" + TOKEN),
    (Refusal.MAILBOX, lambda _: RUMP.replace("INBOX", "nowhere") + "anonymous" + TOKEN),
    (Refusal.TOKEN, lambda _: RUMP + "anonymous" + TOKEN),
    (Refusal.TOKEN, lambda _: RUMP.replace("UID=1", "UID=99") + "anonymous" + TOKEN),
    (Refusal.TOKEN, lambda world: signed(world, RUMP + "anonymous").replace("imap.", "IMAP.")),
    (Refusal.EXPIRED, lambda world: signed(world, INBOX + "/;UID=1;EXPIRE=2020-01-01T00:00:00Z;URLAUTH=anonymous")),
    (Refusal.ACCESS, lambda world: signed(world, RUMP + "user+ann")),
    (Refusal.ACCESS, lambda world: signed(world, RUMP + "submit+joe")),
    (Refusal.ACCESS, lambda world: signed(world, RUMP + "fax")),
    (Refusal.UID_VALIDITY, lambda world: signed(world, INBOX + ";UIDVALIDITY=99/;UID=1;URLAUTH=anonymous")),
    (Refusal.MESSAGE, lambda world: signed(world, RUMP.replace("UID=1", "UID=99") + "anonymous")),
    (Refusal.SECTION, lambda world: signed(world, RUMP.replace("SECTION=2", "SECTION=2.1") + "anonymous")),
]
BY_POLICY: list[tuple[Refusal, TicketPolicy]] = [
    (Refusal.PEER, TicketPolicy(networks=(ip_network("192.0.2.0/24"),), users=frozenset({"mediaserver"}))),
    (Refusal.SIZE, TicketPolicy(max_part=100)),
]


def work_of(world: Any, url: str, params: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, Counter[str]]:
    """Return what URLFETCH answers behind the URL, and how often it did what."""
    counts: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return function(*args, **kwargs)

        return counted

    with monkeypatch.context() as patch:
        patch.setattr(urlauth, "token_for", counting("token", urlauth.token_for))
        patch.setattr(InlineRunner, "call", counting("visit", InlineRunner.call))
        for name in STORE_METHODS:
            patch.setattr(world.server.store, name, counting(name, getattr(world.server.store, name)))
        return world.fetch(world.joe, url, params), counts


@pytest.mark.parametrize("params", ["", "BINARY BODYPARTSTRUCTURE", "BODY", "BODYPARTSTRUCTURE"])
def test_every_refusal_costs_the_same_and_looks_the_same(
    make_world: Any, params: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.authorise("anonymous")  # a key there is
    works = [(reason, work_of(world, make(world), params, monkeypatch), world.log[-1]) for reason, make in REFUSED]
    for reason, policy in BY_POLICY if params != "BODYPARTSTRUCTURE" else BY_POLICY[:1]:
        world = make_world(config=replace(world.config, tickets=policy))
        works.append((reason, work_of(world, signed(world, RUMP + "anonymous"), params, monkeypatch), world.log[-1]))
    for reason, (answer, counts), log in works:
        assert reason.value in log
        assert answer == b"NIL"
        assert counts == {"visit": 1, "with_key": 1, "token": 1, "message": 1}, reason
    assert params == "BODYPARTSTRUCTURE" or {reason for reason, _, _ in works} == set(Refusal)


def test_a_part_is_given_in_the_same_one_visit(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, counts = work_of(world, world.authorise("anonymous"), "BINARY", monkeypatch)
    assert answer.startswith(b"(BINARY ~{512}\r\n")
    assert counts == {"visit": 1, "with_key": 1, "token": 1, "message": 1, "read": 1}


def test_a_refusal_makes_no_inbox(world: Any) -> None:
    # it would take longer once, and so tell that there is such an account
    world.fetch(world.joe, RUMP.replace("joe", "ann") + "anonymous" + TOKEN)
    assert world.server.store.with_key("ann", "INBOX") is None


@pytest.mark.parametrize("host", ["192.0.2.9", "2001:db8::7"])
def test_listed_media_servers_alone_are_answered(make_world: Any, host: str) -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    policy = TicketPolicy(networks=networks, users=frozenset({"mediaserver"}))
    world = make_world(config=replace(make_world().config, tickets=policy))
    url = world.authorise("anonymous")
    assert world.fetch(world.joe, url) == b"NIL"
    assert world.fetch(world.anonymous(), url) == b"NIL"
    assert world.fetch(world.login("mediaserver"), url).startswith(b"{")
    near = world.server.connect(f"[{host}]:5060" if ":" in host else f"{host}:5060")
    near.receive_data(b"a AUTHENTICATE ANONYMOUS =\r\n")
    assert world.fetch(near, url).startswith(b"{")


def test_a_name_of_the_server_may_be_any_of_its_list(make_world: Any) -> None:
    names = ("imap.example.com", "mail.example.net", "[2001:db8::1]")
    world = make_world(config=replace(make_world().config, names=names, port=1143))
    for host in ("imap.example.com", "MAIL.example.NET:1143", "[2001:DB8:0::1]:143"):
        url = world.authorise("anonymous", RUMP.replace("imap.example.com", host))
        assert world.fetch(world.joe, url).startswith(b"{")
