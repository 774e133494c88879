"""The list of all faults of the IMAP server, by name: those of `--fault` and `--faults`."""

from __future__ import annotations

from lemonade_imap.faults.content import CONTENT_FAULTS
from lemonade_imap.faults.lines import LINE_FAULTS
from lemonade_imap.faults.session import SESSION_FAULTS
from lemonade_imap.faults.tickets import TICKET_FAULTS
from lemonade_imap.faults.urlfetch import URLFETCH_FAULTS
from lemonade_wire.faults import FaultList

FAULTS = FaultList.of(*CONTENT_FAULTS, *TICKET_FAULTS, *URLFETCH_FAULTS, *SESSION_FAULTS, *LINE_FAULTS)
