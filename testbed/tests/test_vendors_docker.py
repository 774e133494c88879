"""Other makers' nodes in real containers: in the place of reference nodes, and images that break the contract."""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest

from lemonade_testbed.cli import main
from lemonade_testbed.places import Places
from lemonade_testbed.run import EXIT_CONTRACT, Ended, Job, ScenarioRunner
from lemonade_testbed.vendor_check.contract import check
from lemonade_testbed.vendors.catalogue import Vendor, chosen_vendors, load_vendors
from lemonade_testbed.vendors.images import ensure_vendor_images
from lemonade_testbed.verdict import Outcome

pytestmark = [pytest.mark.usefixtures("images"), pytest.mark.xdist_group("vendors")]
BAD = Vendor("bad", "imap", "An image that breaks the contract", "lemonade-vendor-bad", built="bad")
SWAPS = {
    "announcement-service": {"imap": "dovecot", "mail": "folder"},
    "expired-ticket": {"imap": "cyrus", "mail": "hook"},
    "video-rejected": {"client": "sipp"},
    "rewind": {"client": "sipp"},
}


@pytest.fixture(scope="module")
def peers(engine: docker.DockerClient, images: None) -> None:
    known = load_vendors()
    ensure_vendor_images(engine, [known["dovecot"], known["cyrus"], known["sipp"], BAD], print)


@pytest.fixture(scope="module")
def ended(peers: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    jobs = [
        Job(scenario, scenario.name, vendors=chosen_vendors(SWAPS[scenario.name], {}))
        for scenario in Places.find().load(SWAPS)
    ]
    with ScenarioRunner(tmp_path_factory.mktemp("runs"), jobs=2).open() as running:
        return {one.job.name: one for one in running.run(jobs)}


def told(folder: Path, role: str, event: str) -> list[str]:
    lines = (folder / f"trace-{role}.jsonl").read_text().splitlines()
    return [one["text"] for one in map(json.loads, lines) if one["event"] == event]


def environment(folder: Path, role: str) -> dict[str, str]:
    services = json.loads((folder / "secret/compose.json").read_text())["services"]
    return dict(services[role]["environment"])


def test_a_peer_that_reads_the_mail_folder_passes(ended: dict[str, Ended]) -> None:
    one = ended["announcement-service"]
    assert (one.verdict.outcome, one.verdict.reasons) == (Outcome.PASS, ())
    assert "imap-login: Info: Logged in: user=<joe>" in (one.folder / "imap.log").read_text()
    assert not (one.folder / "trace-imap.jsonl").exists()
    assert not [text for text in told(one.folder, "testbed", "imap") if "APPEND" in text]
    assert {environment(one.folder, role)["LEMONADE_SCENARIO"] for role in ("imap", "media", "client")} == {
        one.job.name
    }


def test_a_swapped_server_whose_hook_stores_the_message_and_that_differs_as_expected(ended: dict[str, Ended]) -> None:
    one = ended["expired-ticket"]
    assert (one.verdict.outcome, one.verdict.reasons) == (Outcome.PASS, ())
    assert "GENURLAUTH refuses (NO)" in one.verdict.differences[0]
    assert not [text for text in told(one.folder, "testbed", "imap") if "APPEND" in text]


def test_a_client_of_another_maker_passes_and_its_lacks_are_unsupported(ended: dict[str, Ended]) -> None:
    one = ended["video-rejected"]
    assert (one.verdict.outcome, one.verdict.reasons) == (Outcome.PASS, ())
    assert [text for text in told(one.folder, "testbed", "imap") if "APPEND" in text]
    lacking = ended["rewind"]
    assert (lacking.verdict.outcome, lacking.code) == (Outcome.UNSUPPORTED, 0)
    assert lacking.verdict.differences[0].startswith("needs client ")


def findings(folder: Path) -> dict[str, bool | None]:
    told = json.loads((folder / "contract.json").read_text())
    return {one["name"]: one["kept"] for one in told["findings"]}


def test_each_point_that_a_server_breaks_is_reported(peers: None, tmp_path: Path) -> None:
    assert main(["vendor-check", "--role", "imap", "--image", BAD.image, "--runs", str(tmp_path)]) == EXIT_CONTRACT
    (folder,) = tmp_path.glob("vendor-check/*")
    assert findings(folder) == {
        "ready": True,
        "accounts": True,
        "stop": False,
        "ticket": False,
        "restart": True,
        "empty": False,
    }


def test_each_point_that_a_client_breaks_is_reported(peers: None, tmp_path: Path) -> None:
    assert not check("client", BAD.image, tmp_path).kept
    assert findings(tmp_path) == {"unsupported": False, "stop": True, "ticket": None, "restart": None}


def test_a_peer_that_keeps_the_contract_passes_with_its_way_of_mail(peers: None, tmp_path: Path) -> None:
    verdict = check("imap", load_vendors()["dovecot"].image, tmp_path)
    assert verdict.kept
    seen = {one.name: one.seen for one in verdict.findings}
    assert seen["mail"] == "stored by the server as it starts (mail: folder)"
