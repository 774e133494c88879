"""The closed list of checks, which `lemonade checks` prints."""

from __future__ import annotations

import re
from difflib import get_close_matches

from lemonade_testbed.checks import (
    anonymous,
    answer,
    audio,
    client,
    client_choices,
    client_tickets,
    dialogs,
    endings,
    entering,
    extensions,
    imap_grammar,
    imap_mailbox,
    imap_server,
    ivr,
    keys,
    logs,
    messages,
    mscml,
    ordered,
    part,
    recorded,
    relay,
    responses,
    retransmissions,
    rights,
    rtcp,
    rtp,
    rtp_session,
    sdp,
    secured,
    tickets,
    timing,
)
from lemonade_testbed.checks.base import Check
from lemonade_testbed.scenario.model import Scenario


class CheckError(ValueError):
    """There is no check with these words; the message names the nearest one."""


CHECKS: dict[str, Check] = {
    check.words: check
    for check in (
        *audio.CHECKS,
        *tickets.CHECKS,
        *part.CHECKS,
        *answer.CHECKS,
        *timing.CHECKS,
        *rtp.CHECKS,
        *rtp_session.CHECKS,
        *rtcp.CHECKS,
        *keys.CHECKS,
        *ivr.CHECKS,
        *responses.CHECKS,
        *mscml.CHECKS,
        *client.CHECKS,
        *client_tickets.CHECKS,
        *client_choices.CHECKS,
        *ordered.CHECKS,
        *entering.CHECKS,
        *imap_grammar.CHECKS,
        *imap_server.CHECKS,
        *anonymous.CHECKS,
        *imap_mailbox.CHECKS,
        *rights.CHECKS,
        *logs.CHECKS,
        *relay.CHECKS,
        *recorded.CHECKS,
        *secured.CHECKS,
        *messages.CHECKS,
        *dialogs.CHECKS,
        *endings.CHECKS,
        *retransmissions.CHECKS,
        *extensions.CHECKS,
        *sdp.CHECKS,
    )
}


def checks_of(scenario: Scenario) -> tuple[tuple[str, Check, str], ...]:
    """Return the checks that judge a scenario, each with its words and the file that it names.

    These are the checks that the scenario lists, then the general ones that it does not list.
    """
    listed = {" ".join(words.split()): find_check(words) for words in scenario.checks}
    general = {words: (check, "") for words, check in CHECKS.items() if check.general}
    return tuple((words, check, file) for words, (check, file) in (listed | general).items())


def find_check(words: str) -> tuple[Check, str]:
    """Return the check that `words` name and the file in them; raises CheckError, which names the nearest check."""
    words = " ".join(words.split())
    if words in CHECKS and "FILE" not in words:
        return CHECKS[words], ""
    for check in CHECKS.values():
        if "FILE" in check.words:
            match = re.fullmatch(re.escape(check.words).replace("FILE", r"(\S+\.[a-z0-9]+)"), words)
            if match:
                return check, match[1]
    near = get_close_matches(words, CHECKS, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise CheckError(f"no check {words!r}{hint} (`lemonade checks` lists them)")
