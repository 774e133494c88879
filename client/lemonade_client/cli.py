"""The command `lemonade-client`: it reads the options and the script, and runs the script."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from lemonade_client.config import ClientConfig, read_config
from lemonade_client.runner import unsupported
from lemonade_wire.script import Script, ScriptError, UnknownExtensionError, load_script

EXIT_SCRIPT, EXIT_UNSUPPORTED = 2, 127


def main(argv: Sequence[str] | None = None) -> None:
    """Run a script and exit: 0 it is done, 1 a step failed, 2 bad script or option, 127 the script is not supported."""
    config = read_config(argv)
    try:
        script = load_script(config.script)
    except UnknownExtensionError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(EXIT_UNSUPPORTED)
    except ScriptError as problem:
        sys.stderr.write(f"{problem}\n")
        sys.exit(EXIT_SCRIPT)
    why = unsupported(script)
    if why is not None:
        sys.stderr.write(f"{config.script}: {why}\n")
        sys.exit(EXIT_UNSUPPORTED)
    sys.exit(_run(config, script))


def _run(config: ClientConfig, script: Script) -> int:
    # The import of the reactor installs it, so it is done only when there is a script to run.
    from twisted.internet import reactor as installed  # noqa: PLC0415
    from twisted.internet.defer import Deferred, ensureDeferred  # noqa: PLC0415
    from twisted.python.failure import Failure  # noqa: PLC0415

    from lemonade_client.app import EXIT_FAILED, ClientApp  # noqa: PLC0415
    from lemonade_wire.failures.endpoint import report_failures  # noqa: PLC0415

    reactor: Any = installed  # its interfaces are zope's, whose methods have no self for mypy
    redactor = config.options.trace.redactor
    report_failures(redactor)
    app = ClientApp(reactor, config, script)
    outcome = [EXIT_FAILED]
    ended: Deferred[None] = Deferred()

    def done(result: int | Failure) -> None:
        if isinstance(result, Failure):
            sys.stderr.write(redactor.text(result.getTraceback()))
        else:
            outcome[0] = result
        ended.callback(None)
        if reactor.running:
            reactor.stop()

    def shutdown() -> Deferred[None]:
        # On SIGTERM and SIGINT the reactor waits for this Deferred, until the call is hung up and the recording
        # written.
        if not ended.called:
            app.interrupt()
        return ended

    reactor.addSystemEventTrigger("before", "shutdown", shutdown)
    reactor.callWhenRunning(lambda: ensureDeferred(app.run()).addBoth(done))
    reactor.run()
    return outcome[0]
