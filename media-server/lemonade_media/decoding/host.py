"""The media server's end of the decoding host: starts it, asks it for processes, and waits for its end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from lemonade_media.decoding import process


class Host:
    """A decoding host (`lemonade_media.decoding.process`): its process id, and the channel to it."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self._ended = False
        channel.setblocking(False)

    @classmethod
    def fork(cls) -> Host:
        """Fork the host from this process, which takes milliseconds and shares the memory of the libraries.

        To be called while this process has no thread of its own yet, and before its reactor exists.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            try:
                process.serve(theirs)
            finally:
                os._exit(1)
        theirs.close()
        return cls(pid, ours)

    @classmethod
    def spawn(cls) -> Host:
        """Start the host as a new program; possible at any time."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            theirs.set_inheritable(True)
            number = theirs.fileno()
            command = [sys.executable, "-m", process.__name__, str(number)]
            pid = os.posix_spawn(command[0], command, dict(os.environ))
        return cls(pid, ours)

    def ask(self) -> socket.socket:
        """Ask for a decoding process; returns the socket to it. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                socket.send_fds(self.channel, [b"fork"], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        return ours

    def ended(self) -> bool:
        """Whether the host has ended; its process is then collected."""
        if not self._ended:
            try:
                self._ended = os.waitpid(self.pid, os.WNOHANG)[0] != 0
            except ChildProcessError:
                self._ended = True
        return self._ended

    def kill(self) -> None:
        """End the host and its processes: at once, or after 0.2 s by SIGKILL."""
        self.channel.close()
        deadline = time.monotonic() + 0.2
        while not self.ended():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
            time.sleep(0.001)
