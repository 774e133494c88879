"""Tables of public and other addresses, with each form in which an IPv6 address can contain an IPv4 address."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest

from lemonade_media.decoding.decode import EncodedMedia, MediaError, decode
from lemonade_media.fetch.cache import content_key
from lemonade_media.fetch.provisioned import (
    best_locales,
    find_pieces,
    is_provisioned,
    is_public,
    join_pieces,
    plan_provisioned,
    read_piece,
    same_address,
)
from lemonade_media.model.failures import FailureKind, FetchError
from lemonade_wire.rtp import g711
from lemonade_wire.testing.messages import wav_file


@pytest.mark.parametrize(
    "text",
    [
        "8.8.8.8",
        "193.0.6.139",
        "192.0.1.1",
        "192.88.98.1",
        "2001:4860:4860::8888",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2a00:1450::5efe:8.8.8.8",
    ],
)
def test_addresses_of_the_public_internet(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "127.255.0.1",
        "0.0.0.0",  # noqa: S104  an address to be refused; no socket is bound to it
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.0.8",
        "192.0.0.170",
        "192.88.99.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0.0.0.0",
        "::ffff:169.254.169.254",
        "::ffff:224.0.0.1",
        "::ffff:100.64.0.1",
        "::ffff:0:127.0.0.1",
        "100::1",
        "2001:2::1",
        "2001:20::1",
        "3fff::1",
        "5f00::1",
        "febf::1",
        "ff0e::1",
        "64:ff9b::0.0.0.0",
        "64:ff9b::127.0.0.1",
        "64:ff9b::224.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::1",
        "2002:a00:1::1",
        "2002:a9fe:a9fe::1",
        "2002:e000:1::1",
        "2a00:1450::5efe:10.0.0.1",
        "2a00:1450::200:5efe:127.0.0.1",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_addresses_that_are_not_public(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


def test_same_address_compares_hosts_that_are_addresses() -> None:
    assert same_address("2001:DB8::1", ipaddress.ip_address("2001:db8::1"))
    assert not same_address("127.0.0.1", ipaddress.ip_address("127.0.0.2"))
    assert not same_address("imap.example.com", ipaddress.ip_address("127.0.0.2"))


def wav(octets: bytes) -> bytes:
    """Return a WAV file of 16-bit PCM that is encoded as these mu-law octets."""
    return wav_file(g711.decode_ulaw(octets).astype("<i2").tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder, with a file beside it that must not be read."""
    inside = tmp_path / "provisioned"
    inside.mkdir()
    (tmp_path / "secret.ulaw").write_bytes(b"\x55" * 8)
    (inside / "welcome.wav").write_bytes(wav(b"\x10" * 160))
    for number in range(1, 4):
        (inside / f"{number}.ulaw").write_bytes(bytes([number]) * 80)
    return inside


def play(folder: Path | None, name: str, locale: str = "", *params: str, kind: str = "", limit: int = 100_000) -> bytes:
    plan = plan_provisioned(f"/provisioned/{name}", locale, params, folder)
    parts = [read_piece(path, suffix, kind, limit) for path, suffix in find_pieces(plan)]
    media = [EncodedMedia("PCMU", decode(part).encode("PCMU"), content_key(part, "PCMU")) for part in parts]
    return join_pieces(media, "PCMU", limit).octets


def failure(folder: Path | None, name: str, locale: str = "", *params: str, limit: int = 100_000) -> FailureKind:
    with pytest.raises(FetchError) as caught:
        play(folder, name, locale, *params, limit=limit)
    assert str(folder) not in caught.value.failure.why
    return caught.value.failure.kind


def test_wav_and_raw_files(folder: Path) -> None:
    assert play(folder, "welcome") == b"\x10" * 160
    assert play(folder, "1") == b"\x01" * 80
    (folder / "law.alaw").write_bytes(b"\xd5" * 80)
    assert set(play(folder, "law")) == {g711.encode_ulaw(g711.decode_alaw(b"\xd5"))[0]}


def test_content_type_overrides_the_files_suffix(folder: Path) -> None:
    assert play(folder, "1", kind="audio/x-alaw-basic") != b"\x01" * 80


def test_the_prefix_ignores_case() -> None:
    assert is_provisioned("/Provisioned/welcome")
    assert not is_provisioned("imap://joe@h/provisioned/welcome")
    assert not is_provisioned("/provisioned")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "Welcome",
        "welcome.wav",
        "../secret",
        "..%2Fsecret",
        "%2e%2e/secret",
        "/etc/passwd",
        "provisioned/welcome",
        "..\\secret",
        "welcome\0",
        "welcome\n",
        "wélcome",
        "*",
        "1" * 5000,
    ],
)
def test_no_other_name_is_found(folder: Path, name: str) -> None:
    assert failure(folder, name) is FailureKind.NOT_FOUND


def test_without_a_folder_nothing_is_found(folder: Path) -> None:
    assert failure(None, "welcome") is FailureKind.NOT_FOUND
    assert failure(folder / "gone", "welcome") is FailureKind.NOT_FOUND
    assert failure(folder / "gone", "welcome", "de") is FailureKind.REFUSED


def test_links_out_of_the_folder_are_not_followed(folder: Path) -> None:
    (folder / "file.ulaw").symlink_to(folder.parent / "secret.ulaw")
    (folder / "de").symlink_to(folder.parent)
    (folder / "loop.ulaw").symlink_to(folder / "loop.ulaw")
    (folder / "inside.wav").symlink_to(folder / "1.ulaw")
    assert failure(folder, "file") is FailureKind.NOT_FOUND
    assert failure(folder, "secret", "de") is FailureKind.NOT_FOUND
    assert failure(folder, "loop") in {FailureKind.NOT_FOUND, FailureKind.REFUSED}
    assert play(folder, "inside", kind="audio/basic") == b"\x01" * 80


def test_a_folder_that_is_a_link_itself_is_the_folder(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    assert play(folder.parent / "link", "1") == b"\x01" * 80


def test_pipes_and_folders_are_not_read(folder: Path) -> None:
    os.mkfifo(folder / "pipe.ulaw")
    (folder / "deep.ulaw").mkdir()
    assert failure(folder, "pipe") is FailureKind.NOT_FOUND
    assert failure(folder, "deep") is FailureKind.NOT_FOUND


def test_too_large_and_undecodable_files_are_refused(folder: Path) -> None:
    assert failure(folder, "1", limit=79) is FailureKind.TOO_LARGE
    (folder / "noise.wav").write_bytes(b"RIFF" + b"\0" * 50)
    with pytest.raises(MediaError):
        play(folder, "noise")


def test_the_best_locale_is_played(folder: Path) -> None:
    for name, octet in (("de", b"\x21"), ("de_AT", b"\x22")):
        (folder / name).mkdir()
        (folder / name / "welcome.ulaw").write_bytes(octet * 8)
    assert play(folder, "welcome", "de_AT") == b"\x22" * 8
    assert play(folder, "welcome", "DE-at") == b"\x22" * 8
    assert play(folder, "welcome", "de_CH") == b"\x21" * 8
    assert play(folder, "welcome", "fr") == b"\x10" * 160
    assert play(folder, "1", "de_AT") == b"\x01" * 80  # the default, where the locale has no such content


@pytest.mark.parametrize(
    ("wanted", "best"),
    [
        ("en_US", ["en_US", "en", "en_GB"]),
        ("en-us", ["en_US", "en", "en_GB"]),
        ("en", ["en", "en_GB", "en_US"]),
        ("en_CA", ["en", "en_GB", "en_US"]),
        ("ca_FR", ["fr_FR"]),  # RFC 4240's own example
        ("sv", []),
        ("", []),
        ("..", []),
        ("../en", []),
        ("_US", ["en_US"]),
    ],
)
def test_best_locales_orders_by_language_and_country(wanted: str, best: list[str]) -> None:
    assert best_locales(wanted, ["fr_FR", "en_US", "en", "en_GB", "old files", ".."]) == best


def test_a_sequence_takes_the_values_of_the_params(folder: Path) -> None:
    (folder / "count.seq").write_text("1\n$1\n\n$2\n$9\n3\n")
    assert play(folder, "count", "", "2") == b"\x01" * 80 + b"\x02" * 80 + b"\x03" * 80
    assert play(folder, "count", "", "", "2", "3") == b"\x01" * 80 + b"\x02" * 80 + b"\x03" * 80
    assert failure(folder, "count", "", "../secret") is FailureKind.NOT_FOUND
    (folder / "de").mkdir()
    (folder / "de" / "1.ulaw").write_bytes(b"\x01")
    for value in ("nothing", "de/1", "1\0", "1" * 5000):
        assert failure(folder, "count", "", value) is FailureKind.NOT_FOUND


def test_a_value_may_be_part_of_a_name(folder: Path) -> None:
    (folder / "digit.seq").write_text("$1")
    (folder / "number12.ulaw").write_bytes(b"\x12" * 8)
    (folder / "digits.seq").write_text("number$1$2")
    assert play(folder, "digits", "", "1", "2") == b"\x12" * 8


@pytest.mark.parametrize("text", ["", "$1", "count", "1\n" * 101])
def test_sequences_that_cannot_be_played(folder: Path, text: str) -> None:
    (folder / "count.seq").write_text(text)
    assert failure(folder, "count") is FailureKind.REFUSED


def test_a_sequence_is_as_large_as_its_pieces(folder: Path) -> None:
    (folder / "count.seq").write_text("1\n2\n")
    assert len(play(folder, "count", limit=160)) == 160
    assert failure(folder, "count", limit=159) is FailureKind.TOO_LARGE
