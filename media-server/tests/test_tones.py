"""The tone before a recording."""

from __future__ import annotations

import numpy as np
import pytest

from lemonade_media.decode import RATE, Law
from lemonade_media.tones import BEEP_SECONDS, beep
from lemonade_wire.rtp import g711


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_a_kilohertz_that_does_not_click(law: Law) -> None:
    tone = beep(law)
    assert (tone.law, tone.seconds) == (law, BEEP_SECONDS)
    samples = (g711.decode_ulaw if law == "PCMU" else g711.decode_alaw)(tone.octets).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.argmax(spectrum) * RATE / len(samples) - 1000) < 5
    assert max(abs(samples[:8])) < 1000 > max(abs(samples[-8:]))
    assert 7000 < max(samples) < 9000
    assert beep(law) is tone
