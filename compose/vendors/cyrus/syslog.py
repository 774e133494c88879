"""Cyrus speaks to syslog alone: this writes what comes to /dev/log to the container's log."""

import os
import socket
import sys

os.umask(0)
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
if os.path.exists("/dev/log"):
    os.unlink("/dev/log")
receiver.bind("/dev/log")
print("syslog: ready", file=sys.stderr, flush=True)
while True:
    text = receiver.recv(65536).decode("utf-8", "replace").rstrip("\0\n")
    # <priority>Mon dd hh:mm:ss tag[pid]: message
    print(text.partition(">")[2] or text, file=sys.stderr, flush=True)
