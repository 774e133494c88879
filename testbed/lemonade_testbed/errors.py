"""The errors that end a run, each with an exit code of its own."""

from __future__ import annotations

from collections.abc import Sequence


class EnvironmentBroken(Exception):  # noqa: N818  the name says what happened
    """The machine lacks something; the message says what it is and what to do (exit code 3)."""


class ContractBroken(Exception):  # noqa: N818  the name says what happened
    """A node does not keep the testbed's contract with nodes: for instance it is never ready (exit code 4).

    `role` is the name of the node, `why` what it did wrong, and `log` are its last log lines.
    """

    def __init__(self, role: str, why: str, log: Sequence[str] = ()) -> None:
        super().__init__(f"{role}: {why}")
        self.role = role
        self.why = why
        self.log = tuple(log)


class LoginRefused(ContractBroken):
    """The IMAP server answers NO to the testbed's own login, whose account and password are those of the scenario."""


class RunStopped(Exception):  # noqa: N818  the name says what happened
    """The whole run is being stopped (Ctrl-C, SIGTERM), so that no further work must be started."""
