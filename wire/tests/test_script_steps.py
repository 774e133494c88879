"""Steps: one verb each, `within` at either place, raw steps as one text."""

import pytest

from lemonade_wire.script.steps import Step, dump_steps, parse_steps
from lemonade_wire.script.verbs import ImapCommand, Press
from lemonade_wire.script.yamltext import ScriptError, load_yaml


def steps(text: str) -> list[Step]:
    return parse_steps(load_yaml(text, "a.yaml"))


def test_a_step_is_verb_arguments_deadline_and_line() -> None:
    first, second, third, fourth = steps(
        "- press: {key: '*', after: 3 s}\n  within: 9 s\n- listen: {until: bye, within: 500 ms}\n"
        "- hang-up\n- discover:\n"
    )
    assert (first.verb, first.args, first.within, first.line) == ("press", Press(key="*", after=3.0), 9.0, 1)
    assert (second.within, second.line) == (0.5, 3)
    assert (third.verb, third.within, third.line) == ("hang-up", None, 4)
    assert (fourth.verb, fourth.line) == ("discover", 5)


def test_a_raw_imap_step_is_one_text_or_a_mapping() -> None:
    short, long = steps("- imap: NOOP\n- imap: {command: NOOP, expect: BAD}\n")
    assert short.args == ImapCommand(command="NOOP")
    assert long.args == ImapCommand(command="NOOP", expect="BAD")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("listen: {}\n", 1, "a list of steps"),
        ("- discover\n- x-anounce: {}\n", 2, "no extension 'x-anounce' is known here"),
        ("- discover\n- anounce: {}\n", 2, "unknown verb 'anounce'; did you mean 'announce'? allowed: announce, "),
        ("- listen: {}\n  press: {key: 6}\n", 1, "one verb, this one has 2"),
        ("- within: 3 s\n", 1, "one verb, this one has 0"),
        ("- [a]\n", 1, "a step is one verb"),
        ("- listen: {until: bye, within: 3 s}\n  within: 3 s\n", 1, "given twice"),
        ("- listen: {}\n  within: 0 s\n", 2, "more than 0"),
        ("- listen: {}\n  within: [3 s]\n", 2, "a duration is expected"),
        ("- listen: {}\n  within: soon\n", 2, "within: 'soon' is not a duration"),
        (
            "- listen:\n    untl: bye\n",
            2,
            "listen: unknown key 'untl'; did you mean 'until'? allowed: expect, until",
        ),
        ("- listen: bye\n", 1, "listen: a mapping is expected"),
        ("- press: {}\n", 1, "press: 'key' is missing"),
        ("- imap: ''\n", 1, "imap: 'command' is missing"),
    ],
)
def test_errors_name_line_and_nearest_word(text: str, line: int, message: str) -> None:
    with pytest.raises(ScriptError) as caught:
        steps(text)
    assert caught.value.line == line
    assert message in caught.value.message


def test_dumped_steps_leave_defaults_out() -> None:
    assert dump_steps(steps("- press: {key: 6}\n  within: 3 s\n")) == [{"press": {"key": "6"}, "within": "3 s"}]
