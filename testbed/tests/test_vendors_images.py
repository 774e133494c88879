from __future__ import annotations

import os
from dataclasses import replace

import docker
import pytest
from docker.errors import ImageNotFound

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.vendors import images
from lemonade_testbed.vendors.catalogue import Vendor

BAD = Vendor("bad", "imap", "An image for a test", f"lemonade-test-{os.getpid()}", built="bad")


def test_an_image_is_built_again_only_if_its_files_change(
    engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = []
    try:
        for source in ("one", "one", "two"):
            monkeypatch.setattr(images, "source_of", lambda _vendor, source=source: source)
            images.ensure_vendor_images(engine, [BAD], said.append)
            made.append(engine.images.get(BAD.image).id)
        assert said == ["building the image of An image for a test"] * 2
        assert made[0] == made[1] != made[2]
        with pytest.raises(ImageNotFound):
            engine.images.get(made[0])
    finally:
        engine.images.remove(BAD.image)


def test_an_image_without_a_dockerfile_must_exist(engine: docker.DockerClient) -> None:
    with pytest.raises(EnvironmentBroken, match=f"no image {BAD.image}-no: `docker pull` or `docker load` it"):
        images.ensure_vendor_images(engine, [replace(BAD, image=f"{BAD.image}-no", built="")], pytest.fail)
    assert images.source_of(BAD) == images.source_of(replace(BAD, name="other"))
    assert images.source_of(BAD) != images.source_of(replace(BAD, role="client"))
