"""Controls one container of a run: starts, watches and stops it, copies files, and causes faults such as a pause."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from docker.errors import APIError, NotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

GRACE = 4
"""Seconds between SIGTERM and SIGKILL."""
_LONG = 24 * 3600
_GONE = -9  # the exit code of a node that was killed (SIGKILL)


class DockerNode:
    """The container of one node; `role` is the node's name."""

    def __init__(self, role: str, container: Container) -> None:
        self.role = role
        self.container = container
        self._end = threading.Event()
        self._code: int | None = None

    def start(self) -> None:
        """Start the container, and watch for its end from now on."""
        self.container.start()
        self._watch()

    def _watch(self) -> None:
        self._end, self._code = threading.Event(), None
        threading.Thread(target=self._wait, args=(self._end,), name=f"watch-{self.role}", daemon=True).start()

    def _wait(self, end: threading.Event) -> None:
        code = _GONE  # a container that was removed meanwhile was killed first
        with suppress(APIError, RequestException, OSError, ValueError):
            code = exit_code(int(self.container.wait(timeout=_LONG)["StatusCode"]))
        if end is self._end:
            self._code = code
        end.set()

    def ended(self, within: float = 0.0) -> int | None:
        """Return the exit code when the node has ended, or None if it still runs after `within` seconds."""
        return self._code if self._end.wait(within) else None

    def stop(self) -> None:
        """Ask the node to stop, and kill it after GRACE seconds; a node that ended or was not started is ignored."""
        with suppress(APIError, RequestException):
            self.container.stop(timeout=GRACE)
        self._end.wait(GRACE)

    def signal(self, name: str) -> None:
        """Send a signal to the node's first process."""
        with suppress(APIError):
            self.container.kill(signal=name)

    def kill(self) -> None:
        """Cause a fault: the node is killed at once."""
        self.signal("SIGKILL")

    def pause(self) -> None:
        """Cause a fault: the node's processes are suspended until `resume`."""
        self.container.pause()

    def resume(self) -> None:
        """Resume a paused node."""
        self.container.unpause()

    def restart(self) -> None:
        """Cause a fault: the node stops and starts again, with an empty store."""
        self._end = threading.Event()  # the node does not end by itself now, so its watching thread must not report it
        self.container.restart(timeout=GRACE)
        self._watch()

    def disconnect(self) -> None:
        """Cause a fault: the node has no network until `connect`."""
        self.container.reload()
        for name in self.container.attrs["NetworkSettings"]["Networks"]:
            self.container.client.networks.get(name).disconnect(self.container, force=True)

    def connect(self, network: str, address: str | None = None, aliases: Collection[str] = ()) -> None:
        """Connect the node with a network again, at its own address."""
        self.container.client.networks.get(network).connect(self.container, ipv4_address=address, aliases=list(aliases))

    def log(self) -> bytes:
        """Return everything that the node has written to standard output and standard error."""
        try:
            return bytes(self.container.logs(stdout=True, stderr=True))
        except (APIError, RequestException):
            return b""

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Make a folder in the container with mode 0777, and write files into it with mode 0444."""
        pack = io.BytesIO()
        with tarfile.open(fileobj=pack, mode="w") as archive:
            entry = tarfile.TarInfo(folder.strip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            archive.addfile(entry)
            for name, content in files.items():
                entry = tarfile.TarInfo(f"{folder.strip('/')}/{name}")
                entry.size, entry.mode = len(content), 0o444
                archive.addfile(entry, io.BytesIO(content))
        self.container.put_archive("/", pack.getvalue())

    def get(self, path: str) -> bytes | None:
        """Return a file's content, or None if there is no such file."""
        return self.get_all(path).get(PurePosixPath(path).name)

    def get_all(self, path: str) -> dict[str, bytes]:
        """Return the content of the file `path`, or of all files in the folder `path`, by file name."""
        try:
            chunks, _ = self.container.get_archive(path)
            pack = io.BytesIO(b"".join(chunks))
        except (NotFound, APIError, RequestException):
            return {}
        found = {}
        with tarfile.open(fileobj=pack) as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if content is not None:
                    found[PurePosixPath(entry.name).name] = content.read()
        return found

    def bring(self, path: str, wanted: Mapping[str, Path]) -> None:
        """Copy files of the container's folder `path` to this machine; `wanted` maps a file name to a path here."""
        for name, content in self.get_all(path).items():
            if name in wanted:
                wanted[name].write_bytes(content)


def exit_code(status: int) -> int:
    """Return a container's exit status in the form of the local runtime: -N if the signal N ended the node."""
    return 128 - status if 128 < status < 128 + 65 else status
