"""A server that breaks the vendor contract on purpose: see the Dockerfile beside it."""

import os
import re
import signal
import socketserver
import sys
from pathlib import Path

KEPT = Path("/var/kept-mail")
TOKEN = "0" * 42


class Session(socketserver.StreamRequestHandler):
    """As much of IMAP as the check of the contract needs."""

    def handle(self) -> None:
        """Answer one client."""
        self.wfile.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=ANONYMOUS URLAUTH] bad\r\n")
        for line in self.rfile:
            text = line.decode("utf-8", "replace").strip()
            print(f"got: {text}", file=sys.stderr, flush=True)  # broken: tickets stand in what clients say
            tag, _, rest = text.partition(" ")
            name = rest.partition(" ")[0].upper()
            if name == "AUTHENTICATE":
                self.wfile.write(b"+ \r\n")
                self.rfile.readline()
            elif name == "APPEND" and (size := re.search(r"\{(\d+)\+?\}$", text)):
                self.wfile.write(b"+ go on\r\n")
                self.rfile.read(int(size[1]))
                self.rfile.readline()
                with KEPT.open("a") as kept:  # broken: not emptied at the next start
                    kept.write("one\n")
            elif name in {"SELECT", "EXAMINE"}:
                count = len(KEPT.read_text().splitlines()) if KEPT.exists() else 0
                self.wfile.write(f"* {count} EXISTS\r\n* OK [UIDVALIDITY 1] valid\r\n".encode())
            elif name == "GENURLAUTH":
                url = text.split('"')[1]
                self.wfile.write(f"* GENURLAUTH {url}:internal:{TOKEN}\r\n".encode())
            self.wfile.write(f"{tag} OK done\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    """A thread for each client."""

    allow_reuse_address = True
    daemon_threads = True


signal.signal(signal.SIGTERM, signal.SIG_IGN)  # broken: nothing but SIGKILL ends it
host, _, port = os.environ["LEMONADE_LISTEN"].rpartition(":")
Server(("", int(port)), Session).serve_forever()
