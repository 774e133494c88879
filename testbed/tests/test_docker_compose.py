from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from lemonade_testbed.containers.tools import ROOT
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.relay.rules import Plan
from lemonade_testbed.runtime.credentials import make_credentials
from lemonade_testbed.runtime.docker_compose import Project, environment, run_file, services
from lemonade_testbed.runtime.docker_network import Bridge, claim
from lemonade_testbed.runtime.relay import with_fronts
from lemonade_testbed.scenario.world import ServerSetup, Setup, Tls, World


@pytest.fixture
def bridge() -> Bridge:
    made = claim([])
    made.release()
    return made


def world(folder: Path, bridge: Bridge, **more: object) -> World:
    users = {"joe": "secret", "mediaserver": "s$cret"}
    setup = Setup(folder=folder, users=users, salt="00", **more)  # type: ignore[arg-type]  # the fields of Setup
    return World(setup, bridge.places(), runtime="docker")


def test_nodes_get_the_scenario_s_options(tmp_path: Path, bridge: Bridge) -> None:
    made = world(
        tmp_path,
        bridge,
        identity=("mediaserver", "s$cret"),
        submit_users=("mediaserver",),
        applications={"stream": ("mediaserver", "other")},
        media_servers="<sip:ivr@media.example.net>:stream",
        fetch_users=("mediaserver",),
        anonymous_life=3600,
        services=("annc",),
        imap_idle=5,
        imap_contact="postmaster@example.net",
        imap_fetch_time=0.5,
        imap_max_part=1000,
        faults={"imap": "no-urlfetch"},
        scenario="stranger",
    )
    prefix = str(bridge.subnet).rpartition(".")[0]
    assert environment(made, "imap") == {
        "LEMONADE_LISTEN": f"{prefix}.11:143",
        "LEMONADE_PROFILE": "draft-07",
        "LEMONADE_TRACE_SALT": "00",
        "LEMONADE_SCENARIO": "stranger",
        "LEMONADE_FAULT": "no-urlfetch",
        "LEMONADE_NAME": "imap.example.com",
        "LEMONADE_USER": "joe:secret mediaserver:s$cret",
        "LEMONADE_ADMIN": "admin:secret",
        "LEMONADE_SUBMIT_USER": "mediaserver",
        "LEMONADE_APPLICATION": "stream=mediaserver,other",
        "LEMONADE_MEDIA_SERVERS": "<sip:ivr@media.example.net>:stream",
        "LEMONADE_FETCH_USER": "mediaserver",
        "LEMONADE_ANONYMOUS_LIFE": "3600",
    }
    media = environment(made, "media")
    assert media["LEMONADE_SERVICE"] == "annc"
    assert media["LEMONADE_IMAP_IDLE"] == "5"
    assert media["LEMONADE_IMAP_CONTACT"] == "postmaster@example.net"
    assert (media["LEMONADE_IMAP_FETCH_TIME"], media["LEMONADE_IMAP_MAX_PART"]) == ("0.5", "1000")
    assert media["LEMONADE_IMAP_USER"] == "mediaserver:s$cret"
    assert media["LEMONADE_TRUST_CALLER"] == f"{prefix}.13"
    assert (media["LEMONADE_IMAP_TLS"], media["LEMONADE_IMAP_CLEARTEXT_LOGIN"]) == ("never", "allowed")
    assert media["LEMONADE_RESOLVE"].split()[0] == f"imap.example.com={prefix}.11:143"
    assert "LEMONADE_FAULT" not in media
    assert {environment(made, role)["LEMONADE_SCENARIO"] for role in ("media", "client", "relay")} == {"stranger"}


def test_a_scenario_with_tls_gives_files_and_asks_for_keys(tmp_path: Path, bridge: Bridge) -> None:
    made = world(tmp_path, bridge, tls=Tls(media="required", client="preferred"))
    made.credentials = make_credentials(made)
    imap, media, client = (environment(made, role) for role in ("imap", "media", "client"))
    assert imap["LEMONADE_TLS_CERT"] == "/evidence/imap-tls-cert.pem"
    assert imap["LEMONADE_TLS_KEY"] == "/evidence/imap-tls-key.pem"
    assert (media["LEMONADE_IMAP_TLS"], media["LEMONADE_IMAP_CLEARTEXT_LOGIN"]) == ("required", "never")
    assert client["LEMONADE_IMAP_TLS"] == "preferred"
    assert media["LEMONADE_IMAP_CA"] == "/evidence/media-imap-ca.pem"
    assert client["LEMONADE_IMAP_CA"] == "/evidence/client-imap-ca.pem"
    assert {node["LEMONADE_TLS_KEYLOG"] for node in (imap, media, client)} == {"/evidence/tls-keys.log"}
    bare = environment(world(tmp_path, bridge, tls=Tls(media="required", certificate="none")), "imap")
    assert not {"LEMONADE_TLS_CERT", "LEMONADE_TLS_KEY", "LEMONADE_TLS_KEYLOG"} & set(bare)


def test_a_relay_stands_on_the_bridge_where_the_scenario_has_one(tmp_path: Path, bridge: Bridge) -> None:
    assert "relay" not in run_file(world(tmp_path, bridge), bridge, {})["services"]
    setup = Setup(folder=tmp_path, users={"joe": "secret"}, relay=Plan(7, ()), faults={"relay": "passes-all"})
    made = World(setup, with_fronts(bridge.places()))
    relay = run_file(made, bridge, {})["services"]["relay"]
    prefix = str(bridge.subnet).rpartition(".")[0]
    assert relay["networks"]["lemonade"]["ipv4_address"] == f"{prefix}.20"
    assert relay["environment"]["LEMONADE_FAULT"] == "passes-all"
    assert "LEMONADE_LISTEN" not in relay["environment"]
    assert environment(made, "media")["LEMONADE_TRUST_CALLER"] == f"{prefix}.13 {prefix}.23"
    assert f"imap.example.com={prefix}.21:143" in environment(made, "client")["LEMONADE_RESOLVE"].split()


def test_an_option_that_is_not_set_is_not_in_the_environment(tmp_path: Path, bridge: Bridge) -> None:
    made = world(tmp_path, bridge)
    assert not {"LEMONADE_MEDIA_SERVERS", "LEMONADE_SCENARIO"} & set(environment(made, "imap"))
    assert "LEMONADE_IMAP_USER" not in environment(made, "media")
    untrusted = environment(world(tmp_path, bridge, trusted_caller=False), "media")
    assert "LEMONADE_TRUST_CALLER" not in untrusted


def test_an_account_that_the_environment_cannot_carry_is_refused(tmp_path: Path, bridge: Bridge) -> None:
    made = World(Setup(folder=tmp_path, users={"joe": "a secret"}), bridge.places())
    with pytest.raises(EnvironmentBroken, match="an account with a blank"):
        environment(made, "imap")


def test_the_run_s_file_names_bridge_addresses_and_owner(tmp_path: Path, bridge: Bridge) -> None:
    made = run_file(world(tmp_path, bridge), bridge, {"lemonade.run": "/run"})
    network = made["networks"]["lemonade"]
    assert network["driver_opts"] == {"com.docker.network.bridge.name": bridge.name}
    assert network["ipam"]["config"] == [{"subnet": str(bridge.subnet), "gateway": str(bridge.subnet[1])}]
    assert made["services"]["imap"]["environment"]["LEMONADE_USER"].endswith("mediaserver:s$$cret")
    assert made["services"]["capture"]["command"] == ["-i", bridge.name]
    owned = [*made["services"].values(), network]
    assert all(thing["labels"] == {"lemonade.run": "/run"} for thing in owned)


def test_the_run_s_file_holds_passwords_and_is_this_user_s_alone(tmp_path: Path, bridge: Bridge) -> None:
    Project(world(tmp_path, bridge), bridge, {}, [])
    path = tmp_path / "secret/compose.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(path.read_text())["name"] == bridge.project


def test_no_container_has_a_fixed_name_and_each_has_a_health_of_its_protocol() -> None:
    services = yaml.safe_load((ROOT / "compose/compose.yaml").read_text())["services"]
    assert set(services) == {"imap", "media", "client", "relay", "capture"}
    assert not any("container_name" in service for service in services.values())
    assert "* OK" in " ".join(services["imap"]["healthcheck"]["test"])
    assert "OPTIONS" in " ".join(services["media"]["healthcheck"]["test"])


def test_the_three_nodes_share_their_first_layers() -> None:
    heads = {
        (ROOT / folder / "Dockerfile").read_text().partition(f"COPY {folder}")[0]
        for folder in ("imap-server", "media-server", "client")
    }
    relay = (ROOT / "compose/relay/Dockerfile").read_text().partition("COPY testbed")[0]
    heads.add(heads.copy().pop().partition("\n")[0] + "\n" + relay.partition("\n")[2])
    assert len(heads) == 1
    assert "FROM debian:trixie-slim" in heads.pop()


def test_named_nodes_are_services_of_their_own(tmp_path: Path, bridge: Bridge) -> None:
    servers = (
        ServerSetup("imap", "imap"),
        ServerSetup("ms1", "media", "dead"),
        ServerSetup("ms2", "media", options={"services": ("annc",)}),
    )
    setup = Setup(folder=tmp_path, users={"joe": "secret"}, servers=servers, faults={"ms2": "no-bye"})
    made = World(setup, bridge.places(servers))
    found = run_file(made, bridge, {})["services"]
    assert services(made) == ["imap", "ms1", "ms2", "client"]
    assert "extends" not in found["imap"]
    second, dead = found["ms2"], found["ms1"]
    assert second["extends"]["service"] == "media"
    assert second["environment"]["LEMONADE_SERVICE"] == "annc"
    assert second["environment"]["LEMONADE_FAULT"] == "no-bye"
    assert second["environment"]["LEMONADE_TRACE"] == "/evidence/trace-ms2.jsonl"
    assert second["networks"]["lemonade"]["ipv4_address"] == made.roles["ms2"].address
    assert dead["command"] == ["dead", f"{made.roles['ms1'].address}:5060"]
    assert dead["networks"]["lemonade"]["ipv4_address"] == made.roles["ms1"].address
    assert not {"LEMONADE_USER", "LEMONADE_TRACE_SALT"} & set(dead["environment"])
