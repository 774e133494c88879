"""A SIP user agent made of PJSIP, which reads commands on its standard input and writes events on its standard output.

Commands and events are lines of JSON. It is a program of its own because PJSIP allows one endpoint and one thread in a
process. A command has the key `do`, and the key `call` (the number of a call) if it is about a call:

    call URI           place one; its sound goes into heard-N.wav of the working folder
    request TYPE BODY  send INFO
    press KEYS BY      press keys, `rtp` (RFC 4733) or `info` (dtmf-relay)
    hold, resume       by re-INVITE
    count              tell how many RTP packets came
    hang-up
    codecs NAMES       offer these alone from now on

A line that tells has `told`: `ready`; `state` (of a call: its PJSIP name, its last status, why); `media` (it can be
heard, or no more); `message` (one that came in a transaction, as it stands); `count`; `failed` (what was asked).
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

RATE = 8000
STEP_MS = 10
DELAY_MS = 20
"""The delay of the jitter buffer, as short as possible, so that the recording differs from what was sent only if this
machine is too slow at times.
"""


# PJSIP writes its first lines to standard output with any setting, so events go to a copy of that descriptor.
TELL = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def tell(what: str, **fields: object) -> None:
    TELL.write(json.dumps({"told": what, **fields}) + "\n")
    TELL.flush()


class Call(pj.Call):  # type: ignore[misc]  # PJSIP has no types
    """One call, which records the received sound."""

    def __init__(self, account: pj.Account, number: int) -> None:
        super().__init__(account)
        self.number = number
        self.recorder = pj.AudioMediaRecorder()
        self.recorder.createRecorder(f"heard-{number}.wav")

    def onCallState(self, _prm: pj.OnCallStateParam) -> None:  # noqa: N802  PJSIP's name
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            # the recorder writes the file's header when it is deleted
            del self.recorder
        tell("state", call=self.number, state=info.stateText, status=info.lastStatusCode, why=info.lastReason)

    def onCallMediaState(self, _prm: pj.OnCallMediaStateParam) -> None:  # noqa: N802  PJSIP's name
        info = self.getInfo()  # keeps the object alive that owns `media`
        media = info.media[0]
        heard = media.status == pj.PJSUA_CALL_MEDIA_ACTIVE
        if heard:
            self.getAudioMedia(0).startTransmit(self.recorder)
        tell("media", call=self.number, heard=heard)

    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:  # noqa: N802  PJSIP's name
        told = prm.e.body.tsxState
        if told.type == pj.PJSIP_EVENT_RX_MSG:
            tell("message", call=self.number, text=told.src.rdata.wholeMsg)

    def request(self, type: str, body: str) -> None:  # noqa: A002  a body's
        prm = pj.CallSendRequestParam()
        prm.method = "INFO"
        prm.txOption.contentType = type
        prm.txOption.msgBody = body
        self.sendRequest(prm)

    def press(self, keys: str, by: str) -> None:
        prm = pj.CallSendDtmfParam()
        prm.method = {"rtp": pj.PJSUA_DTMF_METHOD_RFC2833, "info": pj.PJSUA_DTMF_METHOD_SIP_INFO}[by]
        prm.digits = keys
        self.sendDtmf(prm)

    def hold(self) -> None:
        self.setHold(pj.CallOpParam(True))

    def resume(self) -> None:
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.reinvite(prm)

    def count(self) -> None:
        tell("count", call=self.number, packets=self.getStreamStat(0).rtcp.rxStat.pkt)

    def hang_up(self) -> None:
        self.hangup(pj.CallOpParam(True))


class Agent:
    """An endpoint at an address of its own, over UDP and TCP, with no sound device."""

    def __init__(self, address: str) -> None:
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(settings())
        transport = pj.TransportConfig()
        transport.boundAddress = address
        for kind in (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_TCP):
            self.endpoint.transportCreate(kind, transport)
        self.endpoint.audDevManager().setNullDev()
        self.endpoint.libStart()
        account = pj.AccountConfig()
        account.idUri = f"sip:joe@{address}"
        account.mediaConfig.transportConfig.boundAddress = address
        account.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS
        self.account = pj.Account()
        self.account.create(account)
        self.calls: dict[int, Call] = {}

    def run(self) -> None:
        """Carry out commands until the input ends."""
        tell("ready")
        asked = b""
        while True:
            self.endpoint.libHandleEvents(STEP_MS)
            if select.select([sys.stdin], [], [], 0)[0]:
                octets = os.read(sys.stdin.fileno(), 65536)
                if not octets:
                    break
                *lines, asked = (asked + octets).split(b"\n")
                for line in lines:
                    self.obey(json.loads(line))
        self.end()

    def end(self) -> None:
        """Delete everything in the order that PJSIP requires: calls and sounds before the library."""
        self.endpoint.hangupAllCalls()
        self.calls.clear()
        self.account.shutdown()
        self.endpoint.libDestroy()

    def obey(self, asked: dict[str, Any]) -> None:
        what, number = asked.pop("do"), asked.pop("call", None)
        try:
            if what == "call":
                self.calls[number] = Call(self.account, number)
                self.calls[number].makeCall(asked["uri"], pj.CallOpParam(True))
            elif what == "codecs":
                self.offer(asked["names"])
            else:
                act: Callable[..., None] = getattr(self.calls[number], what.replace("-", "_"))
                act(**asked)
        except pj.Error as problem:
            tell("failed", asked=what, why=problem.info())

    def offer(self, names: list[str]) -> None:
        for codec in self.endpoint.codecEnum2():
            name = codec.codecId.rpartition("/")[0]
            self.endpoint.codecSetPriority(codec.codecId, 255 - names.index(name) if name in names else 0)


def settings() -> pj.EpConfig:
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.consoleLevel = 0
    config.logConfig.level = 5
    config.logConfig.filename = "pjsip.log"
    media = config.medConfig
    media.clockRate = media.sndClockRate = RATE
    media.noVad = True
    media.jbInit = media.jbMinPre = media.jbMaxPre = DELAY_MS
    return config


if __name__ == "__main__":
    Agent(sys.argv[1]).run()
