"""`python -m lemonade_testbed.relay --config FILE` runs the relay until SIGTERM or SIGINT.

It is ready when it has written the line READY to standard error.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from lemonade_testbed.relay import READY
from lemonade_testbed.relay.config import FAULTS, RelayConfig, RelayFault, read_config
from lemonade_testbed.relay.engine import RelayEngine
from lemonade_testbed.relay.process import Relay
from lemonade_wire.nodecli import NodeOptions, NodeParser

EXIT_CANNOT_START = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run the relay; returns 0 after SIGTERM or SIGINT, and 1 if the address of a front cannot be used.

    A usage error or a configuration that is not valid ends the process with code 2.
    """
    parser = NodeParser("lemonade-relay", "Passes on what the nodes send each other, impaired by rules.", FAULTS)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="ends, seed and rules (JSON)")
    given = parser.read(argv)
    try:
        config = read_config(given.config)
    except ValueError as problem:
        parser.error(str(problem))
    return asyncio.run(_run(config, NodeOptions.from_namespace("relay", given)))


async def _run(config: RelayConfig, options: NodeOptions) -> int:
    rules = config.plan.rules
    if options.fault is not None:
        rules = cast("RelayFault", options.fault).obeyed(rules)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    relay = Relay(config, RelayEngine(config.plan.seed, rules), options.trace, _say)
    try:
        await relay.start()
    except OSError as problem:
        _say(f"cannot start: {problem}")
        return EXIT_CANNOT_START
    sys.stderr.write(READY + "\n")
    await stopped.wait()
    relay.stop()
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"lemonade-relay: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
