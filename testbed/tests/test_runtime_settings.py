"""The table of settings: what both runtimes and the vendor contract make of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lemonade_testbed.clauses import SCENARIOS
from lemonade_testbed.errors import EnvironmentBroken
from lemonade_testbed.runtime.settings import SETTINGS, contract_table, fixed_variables, options_of, variables_of
from lemonade_testbed.scenario.world import ROLES, HostAddress, Setup, World
from write_contract_table import write_table

ROOT = SCENARIOS.parent
PLACES = {
    "imap": HostAddress("127.0.0.1", 143, "imap.example.com"),
    "media": HostAddress("127.0.0.2", 5060, "media.example.net"),
    "client": HostAddress("127.0.0.3", 5060, "client"),
}


def world(folder: Path, **more: object) -> World:
    return World(Setup(folder, {"joe": "secret", "ann": "other"}, **more), dict(PLACES))  # type: ignore[arg-type]  # the fields of Setup


def test_the_contract_s_table_is_the_one_of_the_settings() -> None:
    # `python testbed/tools/write_contract_table.py` writes the page anew
    assert contract_table() in (ROOT / "docs/vendor-contract.md").read_text(encoding="utf-8")


def test_the_tool_replaces_the_table_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Head\n\n| variable | roles | what it says |\n|---|---|---|\n| old | all | x |\n\nText\n", "utf-8"
    )
    write_table(page)
    assert page.read_text("utf-8") == f"# Head\n\n{contract_table()}\n\nText\n"


def test_each_setting_is_there_once() -> None:
    names = [setting.name for setting in SETTINGS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("role", ROLES)
def test_compose_gives_every_container_what_the_table_says(role: str) -> None:
    services = yaml.safe_load((ROOT / "compose/compose.yaml").read_text(encoding="utf-8"))["services"]
    given = services[role]["environment"]
    assert given == fixed_variables(role) | {"LEMONADE_TRACE": f"/evidence/trace-{role}.jsonl"}


def test_several_values_are_several_options_and_one_variable(tmp_path: Path) -> None:
    made = world(tmp_path)
    words = options_of(made, "imap")
    assert [words[at + 1] for at, word in enumerate(words) if word == "--user"] == ["joe:secret", "ann:other"]
    assert variables_of(made, "imap")["LEMONADE_USER"] == "joe:secret ann:other"


@pytest.mark.parametrize(
    ("field", "value", "option", "written"),
    [
        ("imap_max_part", 12_345_678, "--imap-max-part", "12345678"),
        ("imap_fetch_time", 0.5, "--imap-fetch-time", "0.5"),
        ("imap_fetch_time", 60.0, "--imap-fetch-time", "60"),
        ("imap_idle", 0, "--imap-idle", "0"),
        ("imap_contact", "a@example.net", "--imap-contact", "a@example.net"),
        ("identity", ("ms", "x"), "--imap-user", "ms:x"),
    ],
)
def test_a_value_is_written_alike_in_both_runtimes(
    tmp_path: Path, field: str, value: object, option: str, written: str
) -> None:
    made = world(tmp_path, **{field: value})
    words = options_of(made, "media")
    assert words[words.index(option) + 1] == written
    assert variables_of(made, "media")[f"LEMONADE_{option[2:].replace('-', '_').upper()}"] == written
    assert option not in options_of(world(tmp_path), "media")


def test_a_file_has_its_own_path_in_each_runtime(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.credentials = {"client": {"imap-ca": tmp_path / "secret" / "client-imap-ca.pem"}}
    words = options_of(made, "client")
    assert words[words.index("--imap-ca") + 1] == str(tmp_path / "secret" / "client-imap-ca.pem")
    assert variables_of(made, "client")["LEMONADE_IMAP_CA"] == "/evidence/client-imap-ca.pem"


def test_a_setting_without_an_option_is_a_variable_alone(tmp_path: Path) -> None:
    made = world(tmp_path, scenario="announcement-service")
    assert "announcement-service" not in options_of(made, "client")
    assert variables_of(made, "client")["LEMONADE_SCENARIO"] == "announcement-service"


def test_a_value_with_a_blank_is_no_member_of_a_list_but_may_stand_alone(tmp_path: Path) -> None:
    alone = variables_of(world(tmp_path, media_servers="<sip:a@b> x"), "imap")
    assert alone["LEMONADE_MEDIA_SERVERS"] == "<sip:a@b> x"
    with pytest.raises(EnvironmentBroken, match="an account with a blank"):
        variables_of(world(tmp_path, submit_users=("two words",)), "imap")
