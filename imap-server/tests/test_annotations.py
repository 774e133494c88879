from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.annotations import MEDIA_SERVERS, BadEntry, Names, _keys_below, is_private, is_read_only, too_many
from lemonade_wire.profile import DRAFT_07, RFC_5616

DRAFT, RFC = Names(DRAFT_07), Names(RFC_5616)
PUBLIC = "/public/mediaServers"
THERE = {
    MEDIA_SERVERS: b"<sip:m>",
    "/shared/Comment": b"hello",
    "/private/a": b"1",
    "/private/a/b": b"2",
    "/private/a/b/c": b"3",
    "/private/ab": b"4",
}


@pytest.mark.parametrize("name", ["/shared/comment", "/PRIVATE/x", "/shared/a/b/c", "/shared/vendor/token/x"])
def test_valid_entry_names(name: str) -> None:
    DRAFT.check(name)
    RFC.check(name)


@pytest.mark.parametrize(
    "name", ["/shared", "/private", "/public/x", "/other/x", "/shared/vendor/token", "/private/vendor", "/sharedx/a"]
)
def test_invalid_entry_names(name: str) -> None:
    for names in (DRAFT, RFC):
        with pytest.raises(BadEntry):
            names.check(name)


def test_names_of_entries_are_limited() -> None:
    DRAFT.check("/shared/" + "a" * 1016)
    for name in ("/shared/" + "a" * 1017, "/private" + "/a" * 30000):
        with pytest.raises(BadEntry, match="1024 octets"):
            DRAFT.check(name)


class CountedNames(set[str]):
    """Names that count how often one is looked for."""

    looked = 0

    def __contains__(self, name: object) -> bool:
        self.looked += 1
        return super().__contains__(name)


def test_the_work_of_a_depth_does_not_grow_with_the_number_of_names_that_are_asked_for() -> None:
    entries = [f"/private/a/{number}" for number in range(100)]
    counted = CountedNames(["/private/a", *(f"/private/{number}" for number in range(6000))])
    assert _keys_below(entries, counted, "INFINITY") == {"/private/a": entries}
    assert counted.looked == 200
    assert _keys_below(entries, counted, "1") == {"/private/a": entries}
    assert counted.looked == 300


def test_the_drafts_name_is_an_alias_in_its_profile_alone() -> None:
    DRAFT.check(PUBLIC.upper())
    assert DRAFT.kept(PUBLIC.upper()) == MEDIA_SERVERS
    assert (DRAFT.alias, RFC.alias) == (PUBLIC, None)
    with pytest.raises(BadEntry):
        RFC.check(PUBLIC)
    DRAFT.check("/public", above=True)
    with pytest.raises(BadEntry):
        RFC.check("/public", above=True)


@pytest.mark.parametrize("name", ["/shared", "/private", "/shared/vendor", "/shared/vendor/token"])
def test_names_above_entries_are_valid_with_depth(name: str) -> None:
    DRAFT.check(name, above=True)


@pytest.mark.parametrize(
    ("asked", "depth", "found"),
    [
        (["/SHARED/comment"], "0", {"/SHARED/comment": b"hello"}),
        (["/shared/none"], "0", {"/shared/none": None}),
        (["/shared/none"], "1", {}),
        (["/private/a"], "0", {"/private/a": b"1"}),
        (["/private/a"], "1", {"/private/a": b"1", "/private/a/b": b"2"}),
        (["/private/A"], "INFINITY", {"/private/A": b"1", "/private/a/b": b"2", "/private/a/b/c": b"3"}),
        (["/private/a", "/private/a/b"], "1", {"/private/a": b"1", "/private/a/b": b"2", "/private/a/b/c": b"3"}),
        (["/shared"], "1", {MEDIA_SERVERS: b"<sip:m>", "/shared/Comment": b"hello"}),
        (["/public"], "1", {PUBLIC: b"<sip:m>"}),
        ([PUBLIC, MEDIA_SERVERS.lower()], "0", {PUBLIC: b"<sip:m>", MEDIA_SERVERS.lower(): b"<sip:m>"}),
    ],
)
def test_entries_for_names_and_depth(asked: list[str], depth: str, found: dict[str, bytes | None]) -> None:
    assert DRAFT.asked(THERE, asked, depth) == found


def test_an_alias_has_no_value_without_the_entry() -> None:
    assert DRAFT.asked({}, [PUBLIC], "0") == {PUBLIC: None}
    assert RFC.asked(THERE, ["/public/mediaServers"], "0") == {PUBLIC: None}


NAMES = st.lists(st.sampled_from(["a", "B", "c"]), min_size=1, max_size=3).map(
    lambda parts: "/shared/" + "/".join(parts)
)


@given(st.dictionaries(NAMES, st.binary(max_size=3), max_size=6), st.lists(NAMES, min_size=1, max_size=3))
def test_a_greater_depth_returns_at_least_the_same_entries(there: dict[str, bytes], asked: list[str]) -> None:
    none, one, all_ = (
        {name.lower(): value for name, value in RFC.asked(there, asked, depth).items() if value is not None}
        for depth in ("0", "1", "INFINITY")
    )
    assert none.items() <= one.items() <= all_.items()
    assert all_.keys() <= {name.lower() for name in there}


def test_private_and_read_only_names() -> None:
    assert [is_private(name) for name in ("/private/x", "/PRIVATE/x", "/privatex/y", "/shared/private/x")] == [
        True,
        True,
        False,
        False,
    ]
    assert [is_read_only(name) for name in ("/shared/admin", "/SHARED/Admin", "/shared/admins")] == [True, True, False]


@pytest.mark.parametrize(
    ("changes", "many"),
    [
        ({"/shared/A": b"x"}, False),
        ({"/shared/c": b"x"}, True),
        ({"/shared/c": b"x", "/shared/a": None}, False),
        ({"/shared/d": None}, False),
        ({}, False),
    ],
)
def test_additions_above_the_limit_are_too_many(changes: dict[str, bytes | None], many: bool) -> None:
    assert too_many(["/shared/a", "/shared/b"], changes, 2) is many


def test_with_too_many_entries_present_others_may_be_changed_and_removed() -> None:
    assert not too_many(["/shared/a", "/shared/b", "/shared/c"], {"/shared/a": b"x", "/shared/b": None}, 1)
