"""Receiving, indexing, sending and decoding a large message takes memory that does not grow with its size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MEBIBYTES = int(os.environ.get("LEMONADE_LARGE_MIB", "300"))
LIMIT = 64 * 1024  # KiB that may be used above the memory of the idle store
PROGRAM = """
import base64, sys
from datetime import UTC, datetime
from pathlib import Path
from lemonade_imap.mail.decode import decoded
from lemonade_imap.store.base import NewMessage
from lemonade_imap.store.sqlite import SqliteStore

def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))

store = SqliteStore(Path(sys.argv[1]))
mailbox = store.mailbox("joe", "INBOX")
block = base64.encodebytes(bytes(range(256)) * 513 * 3).replace(b"\\n", b"\\r\\n")
wanted = int(sys.argv[2]) * 1024 * 1024
idle = memory("VmRSS")
arrival = store.arrive()
arrival.write(b"Content-Type: multipart/mixed; boundary=b\\r\\n\\r\\n--b\\r\\nContent-Type: audio/basic\\r\\n"
    b"Content-Transfer-Encoding: base64\\r\\n\\r\\n")
written = 0
while written < wanted:
    arrival.write(block)
    written += len(block)
arrival.write(b"--b--\\r\\n")
(message,) = store.append(mailbox, [NewMessage(arrival, [], datetime.now(UTC))])
taken = memory("VmHWM")
(part,) = message.root.children
given = sum(map(len, decoded(store.read(message, part.body_offset, part.length), part.encoding)))
copied = store.copy(mailbox, [1], mailbox)
print(message.size, given == part.decoded_length, taken - idle, memory("VmHWM") - idle, flush=True)
"""


def test_memory_does_not_grow_with_the_message(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(MEBIBYTES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    size, decodes, taken, all_in_all = done.stdout.split()
    assert int(size) > MEBIBYTES * 1024 * 1024
    assert decodes == "True"
    assert int(taken) < LIMIT, f"APPEND took {taken} KiB"
    assert int(all_in_all) < LIMIT, f"{all_in_all} KiB in all"
