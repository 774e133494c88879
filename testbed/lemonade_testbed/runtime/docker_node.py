"""One container of a run: started, watched, stopped, its files brought out; and what may be done to it as a fault."""

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
"""Seconds between TERM and KILL."""
_LONG = 24 * 3600
_GONE = -9


class DockerNode:
    """The container of one role."""

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
        code = _GONE  # a container that was removed under us was killed before
        with suppress(APIError, RequestException, OSError, ValueError):
            code = exit_code(int(self.container.wait(timeout=_LONG)["StatusCode"]))
        if end is self._end:
            self._code = code
        end.set()

    def ended(self, within: float = 0.0) -> int | None:
        """Return the exit code once the node has ended, None where it still runs after `within` seconds."""
        return self._code if self._end.wait(within) else None

    def stop(self) -> None:
        """Ask the node to stop, and kill it after GRACE seconds; one that ended or never started is let alone."""
        with suppress(APIError, RequestException):
            self.container.stop(timeout=GRACE)
        self._end.wait(GRACE)

    def signal(self, name: str) -> None:
        """Send a signal to the node's first process."""
        with suppress(APIError):
            self.container.kill(signal=name)

    def kill(self) -> None:
        """Fault: the node is gone at once."""
        self.signal("SIGKILL")

    def pause(self) -> None:
        """Fault: the node stands still until `resume`."""
        self.container.pause()

    def resume(self) -> None:
        """Let a paused node go on."""
        self.container.unpause()

    def restart(self) -> None:
        """Fault: the node stops and starts again, with an empty store."""
        self._end = threading.Event()  # this end is none of its own
        self.container.restart(timeout=GRACE)
        self._watch()

    def disconnect(self) -> None:
        """Fault: the node's cable is pulled, until `connect`."""
        self.container.reload()
        for name in self.container.attrs["NetworkSettings"]["Networks"]:
            self.container.client.networks.get(name).disconnect(self.container, force=True)

    def connect(self, network: str, address: str | None = None, aliases: Collection[str] = ()) -> None:
        """Plug the node in again, at its own address."""
        self.container.client.networks.get(network).connect(self.container, ipv4_address=address, aliases=list(aliases))

    def log(self) -> bytes:
        """Return all that the node has written to its output."""
        try:
            return bytes(self.container.logs(stdout=True, stderr=True))
        except (APIError, RequestException):
            return b""

    def put(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Make a folder that every user of the container may write to, with files that every one may read."""
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
        """Return a file's content, None where there is no such file."""
        return self.get_all(path).get(PurePosixPath(path).name)

    def get_all(self, path: str) -> dict[str, bytes]:
        """Return the content of the file or of the files of the folder `path`, by their last names."""
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
        """Write the files of the folder `path` whose names are `wanted` to their places, as this user's own."""
        for name, content in self.get_all(path).items():
            if name in wanted:
                wanted[name].write_bytes(content)


def exit_code(status: int) -> int:
    """Return an exit status as the local runtime tells it: minus the number of the signal that ended the node."""
    return 128 - status if 128 < status < 128 + 65 else status
