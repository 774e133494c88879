"""Digit maps of MGCP and H.248.1, with examples of RFC 3435 and H.248.1."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_wire.mscml.digitmap import MAX_LENGTH, DigitMap, MapTimers, MapWalk, MegacoDigitMap, MgcpDigitMap

OFFICE = "(0T| 00T|[1-7]xxx|8xxxxxxx|#xxxxxxx|*xx|91xxxxxxxxxx|9011x.T)"


def walked(digit_map: DigitMap, events: str) -> MapWalk:
    """Press keys; `T` is the timer."""
    walk = digit_map.walk()
    for event in events:
        if event == "T":
            walk.expire()
        else:
            walk.press(event)
    return walk


def outcome(walk: MapWalk) -> str:
    return "match" if walk.matches and not walk.can_go_on else "wait" if walk.can_go_on else "none"


@pytest.mark.parametrize(
    ("text", "events", "expected"),
    [
        (OFFICE, "0", "wait"),
        (OFFICE, "0T", "match"),
        (OFFICE, "00T", "match"),
        (OFFICE, "01", "none"),
        (OFFICE, "1234", "match"),
        (OFFICE, "123", "wait"),
        (OFFICE, "123T", "none"),
        (OFFICE, "#1234567", "match"),
        (OFFICE, "*12", "match"),
        (OFFICE, "9011", "wait"),
        (OFFICE, "9011T", "match"),
        (OFFICE, "901144123T", "match"),
        (OFFICE, "90A", "none"),
        ("(xxxxxxx|x11)", "41", "wait"),
        ("(xxxxxxx|x11)", "411", "match"),
        ("(0[12].|00|1[12].1|2x.#)", "0", "match"),
        ("(0[12].|00|1[12].1|2x.#)", "12", "wait"),
        ("(0[12].|00|1[12].1|2x.#)", "11", "match"),
        ("(0[12].|00|1[12].1|2x.#)", "121", "match"),
        ("(0[12].|00|1[12].1|2x.#)", "2345", "wait"),
        ("(0[12].|00|1[12].1|2x.#)", "2#", "match"),
        ("[0-35A*]X.[T#]", "512", "wait"),
        ("[0-35A*]X.[T#]", "512T", "match"),
        ("[0-35A*]x.[t#]", "*#", "match"),
        ("[0-35A*]x.[t#]", "4", "none"),
    ],
)
def test_maps_of_mgcp_match_as_early_as_they_can(text: str, events: str, expected: str) -> None:
    assert outcome(walked(MgcpDigitMap.parse(text), events)) == expected


@pytest.mark.parametrize(
    ("text", "events", "expected"),
    [
        ("(0|00|[1-7]xxx|8xxxxxxx|Fxxxxxxx|Exx|91xxxxxxxxxx|9011x.)", "0", "wait"),
        ("(0|00|[1-7]xxx|8xxxxxxx|Fxxxxxxx|Exx|91xxxxxxxxxx|9011x.)", "00", "match"),
        ("(0|00|[1-7]xxx|8xxxxxxx|Fxxxxxxx|Exx|91xxxxxxxxxx|9011x.)", "#1234567", "match"),
        ("(0|00|[1-7]xxx|8xxxxxxx|Fxxxxxxx|Exx|91xxxxxxxxxx|9011x.)", "*12", "match"),
        ("(0|00|[1-7]xxx|8xxxxxxx|Fxxxxxxx|Exx|91xxxxxxxxxx|9011x.)", "901144", "wait"),
        ("( 1 | 2[ 3-5e ] )", "2*", "match"),
        ("12", "12", "match"),
        ("12", "3", "none"),
        ("G", "1", "none"),
        ("1s", "1", "wait"),
        ("T:10,S:2,(1|2)", "2", "match"),
    ],
)
def test_maps_of_h248_match_as_long_as_they_can(text: str, events: str, expected: str) -> None:
    assert outcome(walked(MegacoDigitMap.parse(text), events)) == expected


def test_which_timer_a_map_of_mgcp_waits_with() -> None:
    office = MgcpDigitMap.parse(OFFICE)
    assert not walked(office, "12").critical  # a key is missing
    assert walked(office, "0").critical  # only the end of the timer is missing
    assert walked(office, "90111").critical


def test_which_timer_a_map_of_h248_waits_with() -> None:
    assert not walked(MegacoDigitMap.parse("(1|123)"), "12").critical
    assert walked(MegacoDigitMap.parse("(1|123)"), "1").critical
    assert walked(MegacoDigitMap.parse("1S23"), "1").critical  # S: the short timer, although a key is missing
    assert not walked(MegacoDigitMap.parse("(1|1L23)"), "1").critical  # L: the long timer, although it matches
    assert not walked(MegacoDigitMap.parse("(1S2|1L3)"), "1").critical
    assert walked(MegacoDigitMap.parse("(1S2|1L3)"), "12").matches


def test_a_held_key_matches_only_strings_with_z() -> None:
    held = MegacoDigitMap.parse("(1Z23|12x|12xx)")
    short = walked(held, "12")
    short.press("4")
    assert short.matches
    long = walked(held, "1")
    long.press("2", long=True)
    long.press("4")
    assert not long.matches  # the strings without Z are dropped
    later = walked(held, "12")
    later.lengthen("2")
    later.press("3")
    assert outcome(later) == "match"
    plain = walked(MegacoDigitMap.parse("12"), "1")
    plain.press("2", long=True)
    assert plain.matches  # a place without Z matches short and long presses


def test_timers_before_a_map() -> None:
    assert MegacoDigitMap.parse("T:0,L:16,(1|2x)").timers == MapTimers(math.inf, None, 16000)
    assert MegacoDigitMap.parse("t:9,s:3,x").timers == MapTimers(9000, 3000, None)
    assert MegacoDigitMap.parse("S1").timers == MapTimers()


NONE = ["", "()", "(1|)", "(1", "1)", "1|2", "x x", "[9-0]", "[]", "[1", "[A-C]", "[1-]", "(1)2", ".", "1..", "é", "ß"]


@pytest.mark.parametrize("text", [*NONE, "1T2", "T.", "1[2T]3", "E", "L1", "Z1", "T:1,x", "1" * (MAX_LENGTH + 1)])
def test_malformed_maps_of_mgcp_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="digit map"):
        MgcpDigitMap.parse(text)


@pytest.mark.parametrize(
    "text", [*NONE, "*", "#", "1T", "S", "(1|L)", "[1Z2]", "Z:20,x", "S:1,T:1,x", "T:100,x", "1S."]
)
def test_malformed_maps_of_h248_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="digit map"):
        MegacoDigitMap.parse(text)


@given(st.text("0123456789ABCDEFGKxXtTsSlLzZ.|()[]-*#:, ", max_size=30), st.text("0123456789ABCD*#", max_size=20))
def test_any_text_is_a_map_or_a_value_error(text: str, keys: str) -> None:
    for kind in (MgcpDigitMap, MegacoDigitMap):
        with contextlib.suppress(ValueError):
            assert str(kind.parse(text)) == text
            outcome(walked(kind.parse(text), keys + "T"))


# -- comparison with a simple algorithm: all sequences are listed, and those that do not match are removed -----------

Place = tuple[str, bool, str, bool]
"""What a place is written as, whether it is held, the events that fill it, whether it is repeated."""
SETS = [("1", "1"), ("2", "2"), ("x", "12"), ("[1-2]", "12"), ("[13]", "1"), ("A", "A")]


def rendered(strings: list[list[Place]]) -> str:
    text = "|".join("".join(place[0] for place in string) for string in strings)
    return f"({text})"


def written_out(string: list[Place], longest: int) -> list[list[tuple[str, bool]]]:
    """Return every sequence of events that a string of a map matches, up to a length."""
    sequences: list[list[tuple[str, bool]]] = [[]]
    for _, held, events, repeated in string:
        counts = range(longest + 2) if repeated else [1]
        sequences = [begun + [(events, held)] * count for begun in sequences for count in counts]
    return [sequence for sequence in sequences if len(sequence) <= longest + 1]


def crossed_off(strings: list[list[Place]], presses: list[tuple[str, bool]]) -> tuple[bool, bool]:
    """Return whether the presses match one of the strings, and whether a longer match is possible."""
    left = [one for string in strings for one in written_out(string, len(presses) + 4)]
    for number, (event, held) in enumerate(presses):
        fitting = [one for one in left if len(one) > number and event in one[number][0]]
        wanted = [one for one in fitting if held and one[number][1]]
        left = wanted or [one for one in fitting if not one[number][1]]
    return any(len(one) == len(presses) for one in left), any(len(one) > len(presses) for one in left)


def places(*, held: bool) -> st.SearchStrategy[Place]:
    def placed(given: tuple[tuple[str, str], bool, bool]) -> Place:
        (text, events), repeated, long = given
        return ("Z" * long + text + "." * repeated, long, events, repeated)

    return st.tuples(st.sampled_from(SETS), st.booleans(), st.booleans() if held else st.just(False)).map(placed)


def maps(*, held: bool) -> st.SearchStrategy[list[list[Place]]]:
    return st.lists(st.lists(places(held=held), min_size=1, max_size=3), min_size=1, max_size=3)


@given(maps(held=True), st.lists(st.tuples(st.sampled_from("12A"), st.booleans()), max_size=4))
def test_a_map_of_h248_agrees_with_the_list_of_its_sequences(
    strings: list[list[Place]], presses: list[tuple[str, bool]]
) -> None:
    walk = MegacoDigitMap.parse(rendered(strings)).walk()
    assert (walk.matches, walk.can_go_on) == crossed_off(strings, [])
    for count, (key, held) in enumerate(presses, 1):
        if held and count % 2:
            walk.press(key)
            walk.lengthen(key)  # the same result if the length of the press is reported later
        else:
            walk.press(key, long=held)
        assert (walk.matches, walk.can_go_on) == crossed_off(strings, presses[:count])
        assert walk.critical == walk.matches


TIMED = st.lists(
    st.tuples(st.lists(places(held=False), max_size=2), st.sampled_from(["", "T", "[T2]"])).filter(any),
    min_size=1,
    max_size=3,
)


@given(TIMED, st.text("12AT", max_size=4))
def test_a_map_of_mgcp_agrees_with_the_list_of_its_sequences(found: list[tuple[list[Place], str]], events: str) -> None:
    ends: dict[str, list[Place]] = {"": [], "T": [("T", False, "T", False)], "[T2]": [("[T2]", False, "T2", False)]}
    strings = [string + ends[end] for string, end in found]
    walk = MgcpDigitMap.parse(rendered(strings)).walk()
    for count, event in enumerate(events, 1):
        if event == "T":
            walk.expire()
        else:
            walk.press(event)
        matches, longer = crossed_off(strings, [(one, False) for one in events[:count]])
        assert (walk.matches, walk.can_go_on) == (matches, longer and not matches)
