"""YAML as text with lines, and its binding to models."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from lemonade_wire.script.yamltext import (
    ListNode,
    MapNode,
    ScriptError,
    bind,
    load_yaml,
    load_yaml_file,
    nearest,
    plain,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(ge=1)
    deep_key: str = Field("", alias="deep-key")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner | None = None
    many: list[Inner] = []


def error(text: str) -> ScriptError:
    with pytest.raises(ScriptError) as caught:
        bind(load_yaml(text, "a.yaml"), Outer, also=("steps",))
    return caught.value


def test_every_scalar_is_text() -> None:
    text = "a: yes\nb: 0123\nc: '*'\nd: 1.50\ne: null\nf: 2026-01-01\ng: ~\nh:\ni: 0x1f\n"
    assert plain(load_yaml(text, "a.yaml")) == {
        "a": "yes",
        "b": "0123",
        "c": "*",
        "d": "1.50",
        "e": "null",
        "f": "2026-01-01",
        "g": "~",
        "h": "",
        "i": "0x1f",
    }


def test_json_is_read_too() -> None:
    assert plain(load_yaml('{"a": [1, true, null, "x\\/\\u00e9"]}', "a.json")) == {"a": ["1", "true", "null", "x/é"]}


def test_values_know_their_lines() -> None:
    root = load_yaml("a: 1\nb:\n  - x\n  - y: z\n", "a.yaml")
    assert isinstance(root, MapNode)
    assert root.places["b"].line == 2
    assert isinstance(root.entries["b"], ListNode)
    assert [item.place.line for item in root.entries["b"].items] == [3, 4]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: a\nname: b\n", 2, "given twice (first in line 1)"),
        ("name: &x a\n", 1, "anchors and aliases"),
        ("name: a\ninner: *x\n", 2, "anchors and aliases"),
        ("name: !!int 3\n", 1, "tag"),
        ("name: a\n? [b, c]\n: d\n", 2, "one word"),
        ("name: a\n\tb: c\n", 2, "cannot start any token"),
        ("name: [a\n", 2, "expected"),
        ("name: a\n---\nname: b\n", 2, "another document"),
        ("", 1, "is empty"),
        ("name: a\nb: \x07\n", 2, "does not allow"),
        ('name: "\\UFFFFFFFF"\n', 1, "not YAML that can be read"),
        ('name: "\\uD800"\n', 1, "surrogate"),
        ("- a\n", 1, "a mapping is expected"),
        ("inner: {count: 1}\n", 1, "'name' is missing"),
        ("name: a\nnmae: b\n", 2, "unknown key 'nmae'; did you mean 'name'? allowed: inner, many, name, steps"),
        ("name: a\nstep: b\n", 2, "did you mean 'steps'?"),
        ("name: a\ninner:\n  cuont: 3\n  count: 2\n", 3, "did you mean 'count'? allowed: count, deep-key"),
        ("name: a\ninner:\n  count: 1\n  deep_key: x\n", 4, "did you mean 'deep-key'?"),
        ("name: a\nmany:\n - count: 1\n - count: 0\n", 4, "many.1.count: Input should be greater than or equal to 1"),
        ("name: a\nmany: x\n", 2, "many: a list is expected"),
        ("name: [a]\n", 1, "name: one text is expected"),
    ],
)
def test_errors_name_line_and_what_is_allowed(text: str, line: int, message: str) -> None:
    caught = error(text)
    assert (caught.file, caught.line) == ("a.yaml", line)
    assert message in caught.message
    assert str(caught) == f"a.yaml:{line}: {caught.message}"


def test_a_thousand_brackets_are_an_error_and_not_a_crash() -> None:
    with pytest.raises(ScriptError, match="not YAML that can be read"):
        load_yaml("[" * 5000, "a.yaml")


def test_require_names_the_missing_key() -> None:
    root = load_yaml("a: b\n", "a.yaml")
    assert isinstance(root, MapNode)
    with pytest.raises(ScriptError, match=r"a\.yaml:1: 'steps' is missing"):
        root.require("steps")


def test_nearest_lists_all_where_nothing_is_near() -> None:
    assert nearest("zzz", ["listen", "announce"]) == "allowed: announce, listen"
    assert nearest("zzz", []) == "nothing is allowed here"


def test_a_file_that_cannot_be_read_is_a_script_error(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="cannot be read"):
        load_yaml_file(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: \xe9\n")
    with pytest.raises(ScriptError, match="cannot be read"):
        load_yaml_file(latin)


@given(st.text(alphabet=st.sampled_from(list(":-[]{}#&*!|>'\"%@` \n\tabc01?,\\\u0085\ufeff")), max_size=40))
@settings(max_examples=100)
@example("name: a\n<<: {b: c}\n")
@example("%YAML 9.9\n---\na: b\n")
def test_anything_gives_a_model_or_a_script_error(text: str) -> None:
    with contextlib.suppress(ScriptError):
        assert isinstance(bind(load_yaml(text, "a.yaml"), Outer), Outer)
