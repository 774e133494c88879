"""Measures how long URLFETCH takes to refuse a URL, for each reason of a refusal.

`.venv/bin/python imap-server/tests/measure_refusals.py [ROUNDS]`. A measurement and no test: `test_verify.py` counts
the work instead. The store is the one on disk, the reasons take turns, and no socket is between, so that differences
show which a network would hide. Figures are microseconds.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lemonade_imap.config import ServerConfig
from lemonade_imap.store.sqlite import SqliteStore
from lemonade_imap.testing import LoopbackConnection, LoopbackServer

HOST = "imap.example.com"
WRONG = ":INTERNAL:01" + "0" * 64


def rump(
    user: str = "joe", host: str = HOST, mailbox: str = "INBOX", uid: int = 1, tail: str = "URLAUTH=authuser"
) -> str:
    """Return a URL; all URLs have about the same length."""
    return f"imap://{user}@{host}/{mailbox}/;UID={uid}/;SECTION=1;{tail}"


def urls_of(store: SqliteStore) -> dict[str, str]:
    """Return a URL for each reason of a refusal."""
    inbox = store.mailbox("joe", "INBOX")
    assert inbox is not None
    key = store.make_key(inbox)

    def signed(text: str) -> str:
        return f"{text}:INTERNAL:01{hmac.new(key, text.encode(), hashlib.sha256).hexdigest()}"

    return {
        "no ticket": rump(),
        "no URL": "imap" + rump()[4:].replace("//", "") + WRONG,
        "another server": rump(host="pop3.example.com") + WRONG,
        "no such account": rump(user="jim") + WRONG,
        "an account without mail": rump(user="ann") + WRONG,
        "no such mailbox": rump(mailbox="OTHER") + WRONG,
        "wrong token": rump() + WRONG,
        "wrong token, no message": rump(uid=9) + WRONG,
        "expired": signed(rump(tail="EXPIRE=2020-01-01T00:00:00Z;URLAUTH=authuser")),
        "another's": signed(rump(tail="URLAUTH=user+ann")),
        "message gone": signed(rump(uid=9)),
        "no such part": signed(rump().replace("SECTION=1", "SECTION=9")),
    }


def took(client: LoopbackConnection, url: str) -> float:
    """Return the time of one refusal in microseconds."""
    command = f'u URLFETCH ("{url}" BINARY)\r\n'.encode()
    began = time.perf_counter_ns()
    said = client.receive_data(command)
    ended = time.perf_counter_ns()
    assert b" NIL\r\n" in said, said
    return (ended - began) / 1000


def main() -> None:
    """Print a table with the median and the quartiles for each reason."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder))
        config = ServerConfig(passwords={"joe": "secret", "ann": "secret"})
        client = LoopbackServer(config, store).connect()
        client.receive_data(b"l LOGIN joe secret\r\n")
        message = b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(bytes(3000))
        client.receive_data(b"p APPEND INBOX {%d+}\r\n%s\r\n" % (len(message), message))
        urls = urls_of(store)
        times: dict[str, list[float]] = {reason: [] for reason in urls}
        for _ in range(rounds):
            for reason, url in urls.items():
                times[reason].append(took(client, url))
        store.close()
    sys.stdout.write(f"{'reason':26} {'median':>7} {'quarter':>8} {'three':>7}  (us, {rounds} rounds)\n")
    for reason, measured in times.items():
        low, middle, high = statistics.quantiles(measured, n=4)
        sys.stdout.write(f"{reason:26} {middle:7.1f} {low:8.1f} {high:7.1f}\n")


if __name__ == "__main__":
    main()
