"""A program that stands for a server that is down, until SIGTERM.

`silent.py dead HOST:PORT` answers no packet at that port; `silent.py refuses HOST:PORT` leaves the port closed. A
scenario has such a server by its key `state`. The program imports only the standard library, because a container gets
the text of this file as its program.
"""

from __future__ import annotations

import signal
import socket
import sys

READY = "silent: ready"
"""The line on standard output after which the host is in its state."""


def swallow(host: str, port: int) -> tuple[socket.socket, ...]:
    """Bind the port over UDP and TCP so that nothing is answered; returns the sockets, which must be kept open.

    Datagrams are never read. A TCP listener whose queue is full drops every further SYN; the queue has room for one
    connection, which this function opens itself.
    """
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((host, port))
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(0)
    return datagrams, listener, socket.create_connection((host, port), source_address=(host, 0))


def main() -> None:
    """Run the program until SIGTERM or SIGINT."""
    _, state, place = sys.argv
    host, _, port = place.rpartition(":")
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    kept = swallow(host, int(port)) if state == "dead" else ()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    signal.sigwait(ends)
    for one in kept:
        one.close()


if __name__ == "__main__":
    main()
