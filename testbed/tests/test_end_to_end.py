"""Runs of the real nodes: the draft's diagrams, scenarios in a new folder, and a mail with tones.

All of them run in parallel in one call of the command; the tests read the files of that run.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import wave
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sipmessage

from lemonade_testbed.evidence import load_evidence

REPOSITORY = Path(__file__).parents[2]
LEMONADE = Path(sys.executable).parent / "lemonade"
TONES = (440, 660, 880, 1320, 550)
TONE_SECONDS = 0.5

pytestmark = pytest.mark.xdist_group("end-to-end")

HEAD = """\
from: nowhere but here
clauses: [LS-2.1-1]
given:
  message: {message}
  users: {{joe: secret, mediaserver: secret}}
  identity: {identity}
  submit-users: [mediaserver]
"""
LADDER = """\
ladder: |
  client->>imap: IMAP FETCH BODYSTRUCTURE  %% LS-2.1-1
  imap-->>client: IMAP OK FETCH
  client->>imap: IMAP GENURLAUTH $url
  imap-->>client: IMAP OK GENURLAUTH
"""
ANNC = """\
  client->>media: SIP INVITE annc $url
  opt
  media-->>client: SIP 100 INVITE
  end
  media->>imap: IMAP URLFETCH $url
"""
REFUSED = """\
  imap-->>media: IMAP OK URLFETCH {found}
  media-->>client: SIP {status} INVITE
  client->>media: SIP ACK
"""

SCENARIOS = {
    "too-late": HEAD.format(message="voicemail.eml", identity="none")
    + "client:\n  - find-part: {type: audio/*}\n  - authorise: {access: anonymous, expire: -5 s}\n"
    + '  - announce: {offer: [PCMU/8000], expect: "404"}\n'
    + LADDER
    + ANNC
    + REFUSED.format(found="NIL", status="404"),
    "only-words": HEAD.format(message="voicemail.eml", identity="none")
    + "client:\n  - find-part: {type: text/plain}\n  - authorise: {access: anonymous, expire: 5 min}\n"
    + '  - announce: {offer: [PCMA/8000], expect: "488"}\n'
    + LADDER
    + ANNC
    + REFUSED.format(found="data", status="488"),
    "back-again": HEAD.format(message="voicemail-basic.eml", identity="mediaserver:secret")
    + "client:\n  - find-part: {type: audio/*}\n  - authorise: {access: submit+, expire: 5 min}\n"
    + '  - ivr: {offer: [PCMU/8000], skip: 1 s, rw: "7", escape: "0"}\n'
    + '  - press: {key: "7", after: 2 s}\n  - press: {key: "0", after: 4 s}\n'
    + "  - listen: {until: response}\n  - hang-up: {}\n"
    + LADDER
    + """\
  client->>media: SIP INVITE ivr
  opt
  media-->>client: SIP 100 INVITE
  end
  media-->>client: SIP 200 INVITE
  client->>media: SIP ACK
  client->>media: SIP INFO playcollect $url
  media-->>client: SIP 200 INFO
  media->>imap: IMAP URLFETCH $url
  imap-->>media: IMAP OK URLFETCH data
  media->>client: RTP PCMU 1.8..2.2 s
  client->>media: SIP INFO dtmf-relay 7
  media-->>client: SIP 200 INFO
  media->>client: RTP PCMU 1.8..2.2 s continued
  client->>media: SIP INFO dtmf-relay 0
  media-->>client: SIP 200 INFO
  media->>client: SIP INFO response escapekey
  client-->>media: SIP 200 INFO
  client->>media: SIP BYE
  media-->>client: SIP 200 BYE
check:
  - audio heard is the part
""",
    "tones": HEAD.format(message="tones.eml", identity="none")
    + "client:\n  - find-part: {type: audio/*}\n  - authorise: {access: anonymous, expire: 5 min}\n"
    + "  - announce: {offer: [PCMU/8000]}\n  - listen: {until: bye}\n"
    + LADDER
    + ANNC
    + """\
  imap-->>media: IMAP OK URLFETCH data
  media-->>client: SIP 200 INVITE
  client->>media: SIP ACK
  media->>client: RTP PCMU media-0.04..media+0.04 s
  media->>client: SIP BYE
  client-->>media: SIP 200 BYE
check:
  - audio heard is the part
""",
}
DIAGRAMS = ("announcement-service", "ivr-service")


def tones_mail() -> bytes:
    """Return a mail with tones one after the other: WAV, 44.1 kHz, stereo."""
    rate = 44100
    times = np.arange(round(TONE_SECONDS * rate)) / rate
    sound = np.concatenate([8000 * np.sin(2 * np.pi * tone * times) for tone in TONES]).astype("<i2")
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setnchannels(2)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.repeat(sound, 2).tobytes())
    mail = EmailMessage()
    mail["Subject"] = "Tones"
    mail.set_content("five tones")
    mail.add_attachment(sink.getvalue(), maintype="audio", subtype="x-wav", filename="tones.wav")
    return mail.as_bytes()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Run both diagrams and the scenarios above; return what `--json` printed, and the run's folder."""
    place = tmp_path_factory.mktemp("scenarios")
    (place / "tones.eml").write_bytes(tones_mail())
    for name, text in SCENARIOS.items():
        (place / f"{name}.yaml").write_text(f"scenario: {name}\ntitle: Made for a test\n{text}")
    runs = tmp_path_factory.mktemp("runs")
    command: list[str | Path] = [
        LEMONADE,
        "run",
        "--json",
        "--runtime",
        "local",
        "--runs",
        runs,
        "-j",
        "3",
        "--scenarios",
    ]
    done = subprocess.run(
        [*command, place, *(REPOSITORY / "scenarios" / f"{name}.yaml" for name in DIAGRAMS), "--all"],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    result = json.loads(done.stdout)
    assert done.returncode == 0, json.dumps(result, indent=1)[:6000] + done.stderr
    return result, runs / "latest"


@pytest.mark.parametrize("name", [*DIAGRAMS, *SCENARIOS])
def test_each_scenario_passes(run: tuple[dict[str, Any], Path], name: str) -> None:
    outcomes = {one["scenario"]: one["outcome"] for one in run[0]["scenarios"]}
    assert outcomes[name] == "pass"


def test_the_tones_come_out_in_order_and_length(run: tuple[dict[str, Any], Path]) -> None:
    with wave.open(str(run[1] / "tones" / "heard.wav")) as reader:
        rate = reader.getframerate()
        heard = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    assert len(heard) / rate == pytest.approx(len(TONES) * TONE_SECONDS, abs=0.04)
    size = round(TONE_SECONDS * rate)
    for number, tone in enumerate(TONES):
        spectrum = np.abs(np.fft.rfft(heard[number * size : (number + 1) * size]))
        assert int(np.argmax(spectrum)) / TONE_SECONDS == pytest.approx(tone, abs=2)


def sip_texts(folder: Path) -> list[str]:
    events = (json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines())
    return [event["text"] for event in events if event["event"] == "sip" and event["way"] == "sent"]


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_sipmessage_package_parses_every_sip_message(run: tuple[dict[str, Any], Path], name: str) -> None:
    texts = sip_texts(run[1] / name)
    assert len(texts) >= 6
    for text in texts:
        message = sipmessage.Message.parse(text.encode())
        assert str(message.call_id)
        assert message.cseq.method in {"INVITE", "ACK", "INFO", "BYE", "OPTIONS"}
        assert message.from_address.uri.host
        assert message.to_address.uri.host
        assert (message.via[0].parameters["branch"] or "").startswith("z9hG4bK")


def test_no_ticket_is_left_outside_the_mail(run: tuple[dict[str, Any], Path]) -> None:
    written = [path for path in run[1].rglob("*") if path.is_file() and path.suffix not in {".eml", ".wav"}]
    assert len(written) > 30
    for path in written:
        text = path.read_text("utf-8", errors="replace").lower()
        after = text.split(":internal:")[1:]
        assert all(rest.startswith(("fp-", "token", "<")) for rest in after), path


def test_every_line_missing_from_a_real_trace_is_noticed(run: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    folder = tmp_path / "too-late"
    shutil.copytree(run[1] / "too-late", folder)
    for trace in sorted(folder.glob("trace-*.jsonl")):
        lines = trace.read_text().splitlines(keepends=True)
        assert lines, trace
        for place in range(len(lines)):
            trace.write_text("".join(lines[:place] + lines[place + 1 :]))
            assert load_evidence(folder).problems, (trace.name, lines[place])
        trace.write_text("".join(lines))
    assert load_evidence(folder).problems == ()


def test_one_worker_runs_the_whole_group(request: pytest.FixtureRequest) -> None:
    """xdist assigns a group of tests to one worker by the suffix of their names, which depends on pytest's version."""
    grouped = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@end-to-end") is bool(grouped)
