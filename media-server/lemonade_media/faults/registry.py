"""The list of all faults of the media server."""

from __future__ import annotations

from lemonade_media.faults.calls import CALL_FAULTS
from lemonade_media.faults.imap import IMAP_FAULTS
from lemonade_media.faults.mscml import MSCML_FAULTS
from lemonade_media.faults.rtp import RTP_FAULTS
from lemonade_media.faults.sdp import SDP_FAULTS
from lemonade_media.faults.sip import SIP_FAULTS
from lemonade_wire.faults import FaultList

FAULTS = FaultList.of(*CALL_FAULTS, *IMAP_FAULTS, *MSCML_FAULTS, *RTP_FAULTS, *SDP_FAULTS, *SIP_FAULTS)
