"""The world of a scenario with several nodes of one role: the names, addresses and options of the nodes."""

from __future__ import annotations

from pathlib import Path

from lemonade_testbed.runtime.docker_network import claim as claim_bridge
from lemonade_testbed.runtime.local import node_options
from lemonade_testbed.runtime.network import claim
from lemonade_testbed.scenario.world import ONE_OF_EACH, ServerSetup, Setup, World, host_name

SERVERS = (
    ServerSetup("imap1", "imap"),
    ServerSetup("imap2", "imap", options={"users": {"ann": "x"}, "submit_users": ("ann",)}),
    ServerSetup("ms1", "media", "dead"),
    ServerSetup("ms2", "media", options={"identity": ("mediaserver", "y"), "trusted_caller": False}),
)


def world(folder: Path, servers: tuple[ServerSetup, ...] = SERVERS, **more: object) -> World:
    setup = Setup(folder, {"joe": "secret"}, salt="00", servers=servers, **more)  # type: ignore[arg-type]  # the fields of Setup
    network = claim()
    network.release()
    return World(setup, network.places(servers))


def test_a_server_is_called_by_its_name_in_the_domain_of_its_role() -> None:
    assert host_name("ms1", "media") == "ms1.example.net"
    assert host_name("imap1", "imap") == "imap1.example.com"


def test_the_first_of_a_role_has_the_role_s_address_and_the_others_have_their_own(tmp_path: Path) -> None:
    places = world(tmp_path).roles
    numbers = {name: place.address.rpartition(".")[2] for name, place in places.items()}
    assert numbers == {"imap1": "1", "imap2": "31", "ms1": "2", "ms2": "32", "client": "3", "testbed": "4"}
    bridge = claim_bridge([])
    bridge.release()
    numbers = {name: place.address.rpartition(".")[2] for name, place in bridge.places(SERVERS).items()}
    assert numbers == {"imap1": "11", "imap2": "31", "ms1": "12", "ms2": "32", "client": "13", "testbed": "1"}


def test_a_node_named_by_its_role_has_no_other_kind(tmp_path: Path) -> None:
    made = world(tmp_path)
    assert [made.kind_of(name) for name in ("imap2", "ms1", "client", "relay")] == ["imap", "media", "client", "relay"]
    assert made.roles["ms2"].record()["kind"] == "media"
    alone = world(tmp_path, ONE_OF_EACH)
    assert alone.kind_of("media") == "media"
    assert "kind" not in alone.roles["media"].record()


def test_every_server_s_name_leads_to_its_address_the_dead_ones_too(tmp_path: Path) -> None:
    made = world(tmp_path)
    assert f"ms1.example.net={made.roles['ms1'].address}:5060" in made.rules()
    assert len(made.rules()) == len(SERVERS)


def test_a_server_s_options_stand_before_the_scenario_s(tmp_path: Path) -> None:
    made = world(tmp_path, identity=("all", "z"), faults={"ms2": "burst"})
    first, second = (" ".join(node_options(made, name)) for name in ("imap1", "imap2"))
    assert "--user joe:secret" in first
    assert "--user ann:x" in second
    assert "joe" not in second
    assert "--submit-user ann" in second
    assert "--submit-user" not in first
    assert "store/imap1" in first
    media = " ".join(node_options(made, "ms2"))
    assert "--imap-user mediaserver:y" in media
    assert "--trust-caller" not in media
    assert "--fault burst" in media
    assert "--allow-imap imap1.example.com --allow-imap imap2.example.com" in media
    assert "--fault" not in first


def test_the_client_s_account_is_at_the_first_imap_server_or_at_the_one_that_is_named(tmp_path: Path) -> None:
    assert world(tmp_path).setup.first("imap").name == "imap1"
    assert world(tmp_path, account="imap2").setup.first("imap").name == "imap2"
    assert world(tmp_path).setup.first("media").name == "ms1"


def test_media_servers_are_stopped_before_the_imap_servers_that_they_log_out_of(tmp_path: Path) -> None:
    assert world(tmp_path).stopping_order() == [["client", "ms1", "ms2"], ["imap1", "imap2"], ["relay"]]
