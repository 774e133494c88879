"""The cache of decoded contents: equal content is shared, and the oldest is removed first."""

from __future__ import annotations

from lemonade_media.decoding.decode import EncodedMedia, FetchedPart
from lemonade_media.fetch.cache import MediaCache, content_key


def media(key: str, octets: int = 10_000) -> EncodedMedia:
    return EncodedMedia("PCMU", bytes(octets), key)


def test_cache_shares_equal_content_and_forgets_the_oldest() -> None:
    cache = MediaCache(limit=25_000)
    first = cache.keep(media("a"))
    assert cache.find("a") is first
    assert cache.keep(media("a")) is first
    cache.keep(media("b"))
    assert cache.find("a") is first
    cache.keep(media("c"))
    assert cache.find("b") is None, "it was used the longest time ago"
    assert cache.find("a") is first
    cache.keep(media("d", 30_000))
    assert [cache.find(key) is not None for key in "abcd"] == [False, False, False, True]


def test_equal_parts_have_equal_keys_and_all_others_have_not() -> None:
    key = content_key(FetchedPart("audio/basic", {"rate": "8000"}, b"12"), "PCMU")
    assert content_key(FetchedPart("audio/basic", {"rate": "8000"}, b"12"), "PCMU") == key
    others = [
        content_key(FetchedPart("audio/basic", {"rate": "8000"}, b"12"), "PCMA"),
        content_key(FetchedPart("audio/basic", {"rate": "16000"}, b"12"), "PCMU"),
        content_key(FetchedPart("audio/x", {"rate": "8000"}, b"12"), "PCMU"),
        content_key(FetchedPart("audio/basic", {"rate": "8000"}, b"13"), "PCMU"),
    ]
    assert len({key, *others}) == 5
