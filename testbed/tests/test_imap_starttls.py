"""The media server and the IMAP server as processes, with TLS between them and certificates of `lemonade certs`.

These tests show more than the scenarios of TLS: exactly which commands are sent, and what the log says if the media
server logs in or refuses to. They replace options that a run gives the nodes; the nodes' own traces are judged.
"""

from __future__ import annotations

import io
import json
import sys
import wave
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest

from lemonade_testbed.certs import write
from lemonade_testbed.run import Ended, Job, ScenarioRunner
from lemonade_testbed.runtime.local import LocalRuntime
from lemonade_testbed.scenario_loader import load_scenario
from lemonade_testbed.verdict import Outcome

HOST = "imap.example.com"
PLAYED = """\
  imap-->>media: IMAP OK URLFETCH data
  media-->>client: SIP 200 INVITE
  client->>media: SIP ACK
  media->>client: RTP PCMU media-0.1..media+0.1 s
  media->>client: SIP BYE
  client-->>media: SIP 200 BYE
check:
  - audio heard is the part
  - no login in clear
"""
REFUSED = """\
  media-->>client: SIP 400 INVITE
  client->>media: SIP ACK
"""
SCENARIO = """\
scenario: private
title: A media server that fetches over TLS
from: nowhere but here
clauses: [LS-2.8-2]
given:
  message: short.eml
  users: {{joe: secret, mediaserver: secret}}
  identity: {identity}
  submit-users: [mediaserver]
client:
  - find-part: {{type: audio/*}}
  - authorise: {{access: {access}, expire: 5 min}}
{steps}
ladder: |
  client->>imap: IMAP FETCH BODYSTRUCTURE  %% LS-2.8-2
  imap-->>client: IMAP OK FETCH
  client->>imap: IMAP GENURLAUTH $url
  imap-->>client: IMAP OK GENURLAUTH
  client->>media: SIP INVITE annc $url
  opt
  media-->>client: SIP 100 INVITE
  end
{rest}"""
FETCHED = "  media->>imap: IMAP URLFETCH $url\n"
LISTENED = "  - announce: {offer: [PCMU/8000]}\n  - listen: {until: bye}"
TURNED_AWAY = '  - announce: {offer: [PCMU/8000], expect: "400"}'


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities: `good` for the IMAP server and for another host, `other` for the IMAP server alone."""
    folder = tmp_path_factory.mktemp("certs")
    write(folder / "good", [[HOST], ["other.example.com"]], datetime.now(UTC))
    write(folder / "other", [[HOST]], datetime.now(UTC))
    return folder


def run(folder: Path, scenario: str, imap: str, media: str) -> Ended:
    """Run a scenario, with more options at the end of each server's command line, where they replace earlier ones."""
    (folder / "private.yaml").write_text(scenario)
    (folder / "short.eml").write_bytes(mail())
    programs = {role: [*more(role, options)] for role, options in (("imap", imap), ("media", media))}
    with ScenarioRunner(folder / "runs", make_runtime=partial(LocalRuntime, programs=programs)).open() as running:
        [ended] = running.run([Job(load_scenario(folder / "private.yaml"), "private")])
    return ended


def more(role: str, options: str) -> list[str]:
    return ["/bin/sh", "-c", f'exec "$0" "$@" {options}', str(Path(sys.executable).parent / f"lemonade-{role}")]


def mail() -> bytes:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(
            b"".join((20 * (step % 400 - 200)).to_bytes(2, "little", signed=True) for step in range(8000))
        )
    message = EmailMessage()
    message["Subject"] = "A second"
    message.set_content("listen")
    message.add_attachment(sink.getvalue(), maintype="audio", subtype="x-wav", filename="a.wav")
    return message.as_bytes()


def said(ended: Ended) -> list[str]:
    """Return the commands that the media server sent on IMAP connections, by name and mechanism."""
    events = [json.loads(line) for line in (ended.folder / "trace-media.jsonl").read_text().splitlines()]
    lines = [event["text"] for event in events if event["event"] == "imap" and event["way"] == "sent"]
    return [" ".join(line.split()[1 : 3 if "AUTH" in line.split()[1] else 2]) for line in lines]


def log(ended: Ended) -> str:
    return (ended.folder / "media.log").read_text()


@pytest.mark.parametrize(
    ("identity", "access", "login"),
    [("none", "anonymous", "AUTHENTICATE ANONYMOUS"), ("mediaserver:secret", "submit+", "AUTHENTICATE SCRAM-SHA-256")],
)
def test_a_part_is_fetched_over_tls(tmp_path: Path, certs: Path, identity: str, access: str, login: str) -> None:
    scenario = SCENARIO.format(identity=identity, access=access, steps=LISTENED, rest=FETCHED + PLAYED)
    ended = run(
        tmp_path,
        scenario,
        f"--tls-cert '{certs}/good/{HOST}.pem' --tls-key '{certs}/good/{HOST}.key'",
        f"--imap-tls required --imap-cleartext-login never --imap-ca '{certs}/good/ca.pem'",
    )
    assert ended.verdict.outcome is Outcome.PASS, log(ended)
    assert said(ended) == ["STARTTLS", "CAPABILITY", login, "URLFETCH", "LOGOUT"]


@pytest.mark.parametrize(
    ("options", "why", "sent"),
    [
        (("", "--imap-tls required --imap-ca '{certs}/good/ca.pem'"), "the IMAP server offers no STARTTLS", ["LOGOUT"]),
        (
            (
                "--tls-cert '{certs}/other/{host}.pem' --tls-key '{certs}/other/{host}.key'",
                "--imap-tls preferred --imap-ca '{certs}/good/ca.pem'",
            ),
            "no authority that is trusted here",
            ["STARTTLS"],
        ),
        (
            (
                "--tls-cert '{certs}/good/{other}.pem' --tls-key '{certs}/good/{other}.key'",
                "--imap-tls preferred --imap-ca '{certs}/good/ca.pem'",
            ),
            f"certificate is not for {HOST}",
            ["STARTTLS"],
        ),
        (
            ("--tls-cert '{certs}/good/{host}.pem' --tls-key '{certs}/good/{host}.key'", "--imap-tls preferred"),
            "no authority that is trusted here",
            ["STARTTLS"],
        ),
    ],
    ids=["stripped", "another-authority", "another-host", "an-authority-that-the-system-does-not-trust"],
)
def test_without_starttls_or_a_trusted_certificate_nothing_is_fetched(
    tmp_path: Path, certs: Path, options: tuple[str, str], why: str, sent: list[str]
) -> None:
    scenario = SCENARIO.format(identity="mediaserver:secret", access="submit+", steps=TURNED_AWAY, rest=REFUSED)
    names = {"certs": certs, "host": HOST, "other": "other.example.com"}
    imap, media = (option.format(**names) for option in options)
    ended = run(tmp_path, scenario, imap, media)
    assert ended.verdict.outcome is Outcome.PASS, log(ended)
    assert why in log(ended)
    assert said(ended) == sent


def test_no_password_is_sent_in_clear_text_by_default(tmp_path: Path) -> None:
    scenario = SCENARIO.format(identity="mediaserver:secret", access="submit+", steps=LISTENED, rest=FETCHED + PLAYED)
    ended = run(tmp_path, scenario, "", "--imap-tls preferred --imap-cleartext-login never")
    assert ended.verdict.outcome is Outcome.PASS, log(ended)
    assert said(ended) == ["AUTHENTICATE SCRAM-SHA-256", "URLFETCH", "LOGOUT"]
