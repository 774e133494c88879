"""Prepares runs with other makers' peers: the container engine, the testbed's own images, and those of the peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.choice import DOCKER, ready
from lemonade_testbed.vendors.catalogue import Vendor


def ready_for_vendors(vendors: Iterable[Vendor], say: Callable[[str], None]) -> str:
    """Return the name of the runtime, which is `docker`; raises EnvironmentBroken if it cannot be used."""
    chosen = sorted(vendors, key=lambda vendor: vendor.name)
    try:
        runtime = ready(DOCKER, say)
    except EnvironmentBroken as problem:
        raise EnvironmentBroken(f"peers of other makers run in containers alone: {problem}") from problem
    from lemonade_testbed.containers import engine as docker_engine  # noqa: PLC0415  the import takes a third of a second
    from lemonade_testbed.vendors.images import ensure_vendor_images  # noqa: PLC0415

    engine = docker_engine.connect()
    ensure_vendor_images(engine, chosen, say)
    engine.close()
    return runtime
