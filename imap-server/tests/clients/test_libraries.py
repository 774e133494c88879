"""Client libraries of PyPI carry out a usual session: log in, select, append, fetch, search, store, idle, log out."""

from __future__ import annotations

import asyncio

import aioimaplib
from imapclient import IMAPClient

from lemonade_imap.testing.processes import Server

MAIL = b"From: alice@example.net\r\nSubject: hello\r\n\r\nworld\r\n"


def imapclient(server: Server) -> IMAPClient:
    client = IMAPClient(server.host, server.tls_port, ssl_context=server.trust, timeout=10)
    client.login("joe", "sesame")
    return client


def test_imapclient_carries_out_a_usual_session(server: Server) -> None:
    client = IMAPClient(server.host, server.port, ssl=False, timeout=10)
    client.starttls(server.trust)
    client.plain_login("joe", "sesame")
    assert client.id_({"name": "test"})[0][:2] == (b"name", b"lemonade-imap")
    assert client.namespace().personal[0][0] == ""
    client.create_folder("Entw\N{LATIN SMALL LETTER U WITH DIAERESIS}rfe")
    client.append("INBOX", MAIL, flags=[rb"\Seen"])
    assert client.select_folder("INBOX")[b"EXISTS"] == 1
    (uid,) = client.search(["SUBJECT", "hello"])
    got = client.fetch([uid], ["FLAGS", "ENVELOPE", "RFC822.SIZE", "BODY.PEEK[]", "BODYSTRUCTURE"])[uid]
    assert got[b"BODY[]"] == MAIL
    assert got[b"RFC822.SIZE"] == len(MAIL)
    assert got[b"ENVELOPE"].subject == b"hello"
    assert got[b"BODYSTRUCTURE"][:2] == (b"TEXT", b"PLAIN")
    assert rb"\Flagged" in client.add_flags([uid], rb"\Flagged")[uid]
    client.copy([uid], "Entw\N{LATIN SMALL LETTER U WITH DIAERESIS}rfe")
    client.move([uid], "Entw\N{LATIN SMALL LETTER U WITH DIAERESIS}rfe")
    assert client.search() == []
    assert client.folder_status("Entw\N{LATIN SMALL LETTER U WITH DIAERESIS}rfe", ["MESSAGES"])[b"MESSAGES"] == 2
    names = {name for _, _, name in client.list_folders()}
    assert names == {"INBOX", "Entw\N{LATIN SMALL LETTER U WITH DIAERESIS}rfe"}
    client.logout()


def test_imapclient_receives_a_new_message_in_idle(server: Server) -> None:
    waiting, other = imapclient(server), imapclient(server)
    waiting.select_folder("INBOX")
    waiting.idle()
    other.append("INBOX", MAIL)
    assert (1, b"EXISTS") in waiting.idle_check(timeout=10)
    waiting.idle_done()
    waiting.logout()
    other.logout()


async def _round(server: Server) -> None:
    client = aioimaplib.IMAP4_SSL(server.host, server.tls_port, timeout=10, ssl_context=server.trust)
    await client.wait_hello_from_server()
    assert (await client.login("joe", "sesame")).result == "OK"
    assert (await client.append(MAIL, mailbox="INBOX")).result == "OK"
    assert (await client.select("INBOX")).result == "OK"
    found = await client.search("SUBJECT hello")
    assert found.lines[0] == b"1"
    fetched = await client.fetch("1", "(UID BODY.PEEK[])")
    assert bytearray(MAIL) in fetched.lines
    assert (await client.store("1", "+FLAGS", r"(\Flagged)")).result == "OK"
    idle = await client.idle_start(timeout=30)
    other = aioimaplib.IMAP4(server.host, server.port, timeout=10)
    await other.wait_hello_from_server()
    await other.login("joe", "sesame")
    await other.append(MAIL, mailbox="INBOX")
    assert b"2 EXISTS" in await client.wait_server_push(timeout=10)
    client.idle_done()
    await asyncio.wait_for(idle, 10)
    assert (await client.expunge()).result == "OK"
    assert (await client.logout()).result == "OK"
    assert (await other.logout()).result == "OK"


def test_aioimaplib_carries_out_a_usual_session(server: Server) -> None:
    asyncio.run(_round(server))
