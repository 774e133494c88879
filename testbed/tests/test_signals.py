from __future__ import annotations

import os
import signal

import pytest

from lemonade_testbed.signals import Interrupted, interruptible


def asked_twice(number: signal.Signals) -> None:
    try:
        os.kill(os.getpid(), number)
    finally:
        os.kill(os.getpid(), number)  # a second signal, while the command cleans up


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises_once_and_the_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible(), pytest.raises(Interrupted, match=f"stopped by {number.name}") as caught:
        asked_twice(number)
    assert caught.value.number == number
    assert signal.getsignal(number) is before
