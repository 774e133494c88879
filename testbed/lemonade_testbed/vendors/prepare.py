"""Has ready what runs with other makers' peers need: an engine, the testbed's own images, and theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lemonade_testbed.runtime.base import EnvironmentBroken
from lemonade_testbed.runtime.choice import DOCKER, ready
from lemonade_testbed.vendors.catalogue import Vendor


def ready_for_vendors(vendors: Iterable[Vendor], say: Callable[[str], None]) -> str:
    """Return the runtime, which is containers; raises EnvironmentBroken where they cannot be had."""
    chosen = sorted(vendors, key=lambda vendor: vendor.name)
    try:
        runtime = ready(DOCKER, say)
    except EnvironmentBroken as problem:
        raise EnvironmentBroken(f"peers of other makers run in containers alone: {problem}") from problem
    from lemonade_testbed.runtime import docker_engine  # noqa: PLC0415  a third of a second that local runs save
    from lemonade_testbed.vendors.images import ensure_vendor_images  # noqa: PLC0415

    engine = docker_engine.connect()
    ensure_vendor_images(engine, chosen, say)
    engine.close()
    return runtime
