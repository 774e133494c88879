"""Builds the images of known peers from Debian packages, if they are missing or their files have changed."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Sequence
from contextlib import suppress

import docker
from docker.errors import APIError, BuildError, ImageNotFound
from docker.models.images import Image

from lemonade_testbed.containers.tools import TOOLS
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.docker_images import BASE, SOURCE, ensure_base, fingerprint
from lemonade_testbed.vendors.catalogue import COMPOSE, Vendor

Say = Callable[[str], None]
FOLDER = COMPOSE / "vendors"
SHARED = "announcement"
"""The folder with files for the images of several clients."""


def ensure_vendor_images(client: docker.DockerClient, vendors: Sequence[Vendor], say: Say) -> None:
    """Make sure that the image of every peer exists: build it if the project has a Dockerfile for it.

    Raises EnvironmentBroken, which says what to do.
    """
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "vendors.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for vendor in dict.fromkeys(vendors):
            image = _image(client, vendor.image)
            if not vendor.built:
                if image is None:
                    raise EnvironmentBroken(f"there is no image {vendor.image}: `docker pull` or `docker load` it")
            elif image is None or image.labels.get(SOURCE) != source_of(vendor):
                ensure_base(client, say)
                say(f"building the image of {vendor.title}")
                _build(client, vendor, source_of(vendor))
                if image is not None:  # the new image has its name now; a container may still use it
                    with suppress(APIError):
                        client.images.remove(image.id)


def source_of(vendor: Vendor) -> str:
    """Return the fingerprint of the files of a peer's image."""
    return fingerprint([vendor.built, SHARED] if vendor.role == "client" else [vendor.built], FOLDER)


def _image(client: docker.DockerClient, image: str) -> Image | None:
    try:
        return client.images.get(image)
    except ImageNotFound:
        return None
    except APIError as problem:
        raise EnvironmentBroken(f"the engine cannot say whether there is an image {image}: {problem}") from problem


def _build(client: docker.DockerClient, vendor: Vendor, source: str) -> None:
    try:
        client.images.build(
            path=str(FOLDER),
            dockerfile=f"{vendor.built}/Dockerfile",
            tag=vendor.image,
            buildargs={"BASE": BASE},
            labels={SOURCE: source},
            rm=True,
            forcerm=True,
        )
    except BuildError as problem:
        lines = [str(step.get("stream") or step.get("error") or "").rstrip() for step in problem.build_log]
        said = "\n    ".join([line for line in lines if line][-12:])
        raise EnvironmentBroken(f"the image of {vendor.name} could not be built\n    {said}") from problem
    except APIError as problem:
        raise EnvironmentBroken(f"the image of {vendor.name} could not be built: {problem.explanation}") from problem
