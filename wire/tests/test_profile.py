from lemonade_wire.profile import DRAFT_07, PROFILES, RFC_5616


def test_the_profiles_swap_their_entries() -> None:
    assert PROFILES == {"draft-07": DRAFT_07, "rfc5616": RFC_5616}
    assert DRAFT_07.media_servers_entry == RFC_5616.other_entry == "/public/mediaServers"
    assert RFC_5616.media_servers_entry == DRAFT_07.other_entry == "/shared/mediaServers"


def test_each_profile_has_its_access_identifier() -> None:
    assert DRAFT_07.access_for("joe") == "submit+joe"
    assert RFC_5616.access_for("joe") == "stream"
