"""The list of all faults of the client."""

from __future__ import annotations

from lemonade_client.faults.calls import CALL_FAULTS
from lemonade_client.faults.imap import IMAP_FAULTS
from lemonade_client.faults.mscml import MSCML_FAULTS
from lemonade_client.faults.rtp import RTP_FAULTS
from lemonade_client.faults.sip import SIP_FAULTS
from lemonade_wire.faults import FaultList

FAULTS = FaultList.of(*CALL_FAULTS, *IMAP_FAULTS, *MSCML_FAULTS, *RTP_FAULTS, *SIP_FAULTS)
