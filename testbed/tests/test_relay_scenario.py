"""The section `relay` of a scenario: how it is read, what is refused, and that it names a fault of the relay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lemonade_testbed.relay.rules import What
from lemonade_testbed.scenario_loader import ScenarioError, find_scenarios, load_scenario

SCENARIOS = Path(__file__).parents[2] / "scenarios"
PLAIN = SCENARIOS / "relay" / "invite-lost.yaml"
SEED = "  seed: 7\n"
MAILBOX = f"find-part: {{mailbox: {'long' * 180}, "
RULE = "    - {leg: client-media, from: client, lose: SIP INVITE, times: 1}\n"


def test_seed_and_rules_are_read() -> None:
    plan = load_scenario(PLAIN).relay
    assert plan is not None
    assert plan.seed == 7
    (rule,) = plan.rules
    assert (rule.number, rule.source, rule.what, rule.times) == (1, "client", What("SIP", method="INVITE"), 1)
    assert load_scenario(SCENARIOS / "ivr-service.yaml").relay is None


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (SEED, "  seed: seven\n", 11, "relay: seed: 'seven' is not a seed: a whole number such as 7 is expected"),
        (SEED, "  sede: 7\n", 11, "relay: unknown key 'sede'; did you mean 'seed'? allowed: rules, seed"),
        (SEED, "", 11, "'seed' is missing"),
        (RULE, RULE + "    - {leg: client-media, loose: RTP}\n", 14, "unknown key 'loose'; did you mean 'lose'?"),
        (
            RULE,
            "    - leg: client-media\n      lose: RPT 5 %\n",
            14,
            "'RPT' is no kind of message; did you mean 'RTP'?",
        ),
        (RULE, "    - lose everything\n", 13, "a rule is a mapping such as {leg: client-media, lose: SIP INVITE"),
        (RULE, "    - {leg: client-media, lose: [RTP]}\n", 13, "lose: one text is expected"),
        ("  rules:\n" + RULE, "  rules: []\n", 12, "relay: without a rule it does nothing; leave `relay` out"),
        ("  rules:\n" + RULE, "  rules: RTP\n", 12, "rules: a list is expected"),
        ("relay:\n" + SEED + "  rules:\n" + RULE, "relay: 7\n", 10, "relay: a mapping is expected, {seed: 7, rules"),
        (
            "relay:\n" + SEED + "  rules:\n" + RULE,
            "",
            36,
            "the scenario has no relay, so that nothing can be wrong with",
        ),
    ],
)
def test_an_error_in_the_relay_section_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    text = PLAIN.read_text()
    assert old in text
    path = tmp_path / "wrong.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    assert f"{path}:{line}: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("path", find_scenarios(SCENARIOS / "relay"), ids=lambda path: path.stem)
def test_every_scenario_is_red_without_its_rules(path: Path) -> None:
    scenario = load_scenario(path)
    assert scenario.relay is not None
    assert ("relay", "passes-all") in {(fault.role, fault.name) for fault in scenario.faults}


def test_a_200_over_tcp_is_lost_and_sent_again(tmp_path: Path) -> None:
    """An INVITE too long for a datagram goes by TCP (RFC 3261, 18.1.1), and its 200 comes again there (13.3.1.4)."""
    text = (SCENARIOS / "relay" / "ok-lost.yaml").read_text()
    long = text.replace("given:\n", f"given:\n  mailbox: {'long' * 180}\n").replace("find-part: {", MAILBOX)
    path = tmp_path / "ok-lost-tcp.yaml"
    path.write_text(long.replace("scenario: ok-lost", "scenario: ok-lost-tcp"))
    lemonade = Path(sys.executable).parent / "lemonade"
    command: list[str | Path] = [lemonade, "run", path, "--runtime", "local", "--runs", tmp_path / "runs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    trace = (tmp_path / "runs" / "latest" / "ok-lost-tcp" / "trace-media.jsonl").read_text()
    answers = [event for line in trace.splitlines() if "200 OK" in (event := json.loads(line)).get("text", "")]
    sent = [event["transport"] for event in answers if "INVITE" in event["text"].partition("CSeq: ")[2].splitlines()[0]]
    assert sent == ["tcp", "tcp"]
