"""Mail whose content names files and hosts: the media server opens none of them, whatever FFmpeg could read."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import av
import pytest
from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from lemonade_media.config import MediaConfig
from lemonade_media.decoding.decode import FORMATS, FetchedPart, decode
from lemonade_media.decoding.settings import DecodeLimits
from lemonade_media.fetch.endpoint import FetchEndpoint, Outcome
from lemonade_media.fetch.settings import AllowedHost, ImapSettings
from lemonade_media.model.commands import StartFetch
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.model.plans import FetchPlan
from lemonade_wire.address import Address, PortRange, Resolver
from lemonade_wire.redaction import Redactor
from lemonade_wire.trace import Trace

reactor: Any = installed
URL = "imap://joe@imap.example.com/INBOX/;UID=20/;SECTION=2;URLAUTH=anonymous:INTERNAL:" + "0a" * 32
# The demuxers of FFmpeg that open what their content names, or that read devices and pictures by a pattern of names.
OPENING = (
    *("hls", "applehttp", "dash", "imf", "concat", "ffconcat", "concatf", "sdp", "rtsp", "rtp", "sap", "image2"),
    *("image2pipe", "alias_pix", "brender_pix", "webm_dash_manifest", "lavfi", "vobsub", "tedcaptions", "avisynth"),
    *("vapoursynth", "libcdio", "alsa", "oss", "fbdev", "v4l2", "video4linux2", "x11grab", "ffmetadata", "rawvideo"),
)
CONTENTS: dict[str, Callable[[str], str]] = {
    "hls": lambda place: f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{place}\n#EXT-X-ENDLIST\n",
    "hls-key": lambda place: (
        f'#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-KEY:METHOD=AES-128,URI="{place}"\n#EXTINF:5,\na\n'
    ),
    "m3u": lambda place: f"{place}\n",
    "dash": lambda place: (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="64000"><BaseURL>{place}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ),
    "concat": lambda place: f"ffconcat version 1.0\nfile '{place}'\n",
    "sdp": lambda place: f"v=0\no=- 0 0 IN IP4 127.1\ns=x\nc=IN IP4 127.1\nt=0 0\nm=audio 9 RTP/AVP 0\nu={place}\n",
    "imf": lambda place: f'<?xml version="1.0"?><CompositionPlaylist xmlns="x"><Id>{place}</Id></CompositionPlaylist>',
    "image2": lambda place: f"{place}%d.png",
    "redirect": lambda place: f"RTSPtext {place}\n",
    "reference": lambda place: f"[Reference]\nRef1={place}\nRef2={place}\n",
    "asx": lambda place: f'<asx version="3.0"><entry><ref href="{place}"/></entry></asx>',
    "svg": lambda place: f'<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{place}"/></svg>',
    "ffmetadata": lambda place: f";FFMETADATA1\ntitle={place}\n",
    "vobsub": lambda place: f"# VobSub index file, v7\nid: en, index: 0\n#{place}\ntimestamp: 00:00:00:000\n",
}
TYPES = ("application/octet-stream", "audio/mpeg", "audio/mpegurl", "application/dash+xml", "application/sdp")


def box(name: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return (len(inside) + 8).to_bytes(4, "big") + name + inside


def movie_of_another_file(place: str) -> bytes:
    """Return a QuickTime movie whose samples are in the file or at the URL `place` (a data reference)."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as sink:
        stream = sink.add_stream("pcm_s16be", rate=8000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame(format="s16", layout="mono", samples=8000)
        frame.sample_rate = 8000
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    octets = file.getvalue()
    own = box(b"url ", b"\0\0\0\1")
    assert own in octets
    other = box(b"url ", bytes(4), place.encode() + b"\0")
    grown = len(other) - len(own)
    at = octets.index(own)
    data = octets.replace(own, other)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        start = data.rindex(name, 0, at) - 4
        size = int.from_bytes(data[start : start + 4], "big") + grown
        data = data[:start] + size.to_bytes(4, "big") + data[start + 4 :]
    return data


class Answering(Protocol):
    """An IMAP server whose answer to URLFETCH is the next content of the list."""

    transport: Any
    contents: list[bytes]

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        self.transport.write(b"* OK [CAPABILITY IMAP4rev1 AUTH=ANONYMOUS SASL-IR] ready\r\n")

    def dataReceived(self, data: bytes) -> None:  # noqa: N802  Twisted's name
        for line in data.splitlines():
            tag, name = line.split()[:2]
            if name == b"AUTHENTICATE":
                self.transport.write(tag + b" OK [CAPABILITY IMAP4rev1 URLAUTH=BINARY] in\r\n")
            elif name == b"URLFETCH":
                content = self.contents.pop(0)
                form = b'(BODYPARTSTRUCTURE ("APPLICATION" "X" NIL NIL NIL "BINARY" 1))'
                literal = b" (BINARY ~{%d}\r\n%s)\r\n" % (len(content), content)
                self.transport.write(b'* URLFETCH "' + URL.encode() + b'" ' + form + literal + tag + b" OK done\r\n")
            else:
                self.transport.write(b"* BYE\r\n" + tag + b" OK bye\r\n")
                self.transport.loseConnection()


class ClosedFormatsTests(TestCase):
    timeout = 120

    def listen(self, factory: Factory) -> int:
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    async def outcomes(self, contents: list[tuple[str, bytes]]) -> list[Outcome]:
        """Mail each content with its content type; return what the media server's fetches of them gave."""
        server = type("Server", (Answering,), {"contents": [octets for _, octets in contents]})
        port = self.listen(Factory.forProtocol(server))
        found: dict[int, Outcome] = {}
        config = MediaConfig(
            Address("127.0.0.1", 5060),
            PortRange(20000, 20100),
            resolver=Resolver.parse([f"imap.example.com:143=127.0.0.1:{port}"]),
            imap=ImapSettings((AllowedHost("imap.example.com"),)),
            decoding=DecodeLimits(processes=2),
        )
        trace = Trace("media", io.StringIO(), Redactor("salt"))
        endpoint = FetchEndpoint(reactor, config, trace, found.__setitem__, bind="127.0.0.1")
        for job, (kind, _) in enumerate(contents):
            await endpoint.start(StartFetch(job, FetchPlan(URL, "imap.example.com", 143), kind, "PCMU"))
        await endpoint.close(1)
        return [found[job] for job in range(len(contents))]

    async def test_no_content_makes_the_media_server_open_a_file_or_a_connection(self) -> None:
        visitors: list[object] = []

        class Visited(Protocol):
            def connectionMade(self) -> None:  # noqa: N802  Twisted's name
                visitors.append(self)

        folder = Path(mkdtemp())
        with wave.open(str(folder / "secret.wav"), "wb") as secret:
            secret.setparams((1, 2, 8000, 0, "NONE", ""))
            secret.writeframes(bytes(16_000))
        port = self.listen(Factory.forProtocol(Visited))
        files = [f"{folder}/secret.wav", f"file://{folder}/secret.wav", f"file:{folder}/secret.wav"]
        hosts = [f"http://127.0.0.1:{port}/a.wav", f"tcp://127.0.0.1:{port}"]
        wrapped = [
            f"concat:{files[0]}",
            f"subfile,,start,0,end,0,,:{files[0]}",
            f"cache:{files[0]}",
            f"async:{files[0]}",
        ]
        contents = [
            (kind, write(place).encode())
            for write in CONTENTS.values()
            for place, kind in zip([*files, *hosts, *wrapped], TYPES * 2, strict=False)
        ]
        contents += [("video/quicktime", movie_of_another_file(place)) for place in (files[0], files[1], hosts[0])]
        contents.append(("audio/wav", (folder / "secret.wav").read_bytes()))
        *outcomes, played = await self.outcomes(contents)
        assert not isinstance(played, Failure), "the content that is named could be played"
        for (_, octets), outcome in zip(contents[:-4], outcomes, strict=False):
            assert isinstance(outcome, Failure), octets[:80]
            assert outcome.kind is FailureKind.UNPLAYABLE
        assert visitors == []


@pytest.mark.parametrize("name", OPENING)
def test_the_list_of_formats_has_none_that_opens_other_resources(name: str) -> None:
    assert name not in FORMATS.split(",")


def test_every_format_of_the_list_is_one_of_ffmpegs() -> None:
    assert set(FORMATS.split(",")) <= {name for known in av.formats_available for name in known.split(",")}


def test_a_movie_plays_where_its_samples_are_its_own() -> None:
    octets = movie_of_another_file("x").replace(box(b"url ", bytes(4), b"x\0"), box(b"url ", b"\0\0\0\1", b"x\0"))
    assert decode(FetchedPart("video/quicktime", {}, octets)).seconds == pytest.approx(1, abs=0.01)
