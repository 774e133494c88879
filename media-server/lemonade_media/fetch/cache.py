"""Keeps decoded content, so that content that several calls play is decoded once. No I/O, no threads."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from lemonade_media.decoding.decode import EncodedMedia, FetchedPart, Law


def content_key(part: FetchedPart, law: Law) -> str:
    """Return a key that is the same for the same content, labels and encoding; takes time in proportion to the part."""
    label = f"{part.content_type}|{sorted(part.params.items())}".encode()
    return f"{hashlib.sha256(hashlib.sha256(label).digest() + part.octets).hexdigest()}/{law}"


class MediaCache:
    """The decoded contents by their keys.

    While all contents together exceed `limit` octets, the one that was used the longest time ago is removed.
    """

    def __init__(self, limit: int = 64_000_000) -> None:
        self._limit = limit
        self._octets = 0
        self._entries: OrderedDict[str, EncodedMedia] = OrderedDict()

    def find(self, key: str) -> EncodedMedia | None:
        """Return the content with this key, None if it is not kept."""
        if (known := self._entries.get(key)) is not None:
            self._entries.move_to_end(key)
        return known

    def keep(self, media: EncodedMedia) -> EncodedMedia:
        """Keep a content; returns the content that is kept under its key, which may be an equal one."""
        if (known := self.find(media.key)) is not None:
            return known
        self._entries[media.key] = media
        self._octets += len(media.octets)
        while len(self._entries) > 1 and self._octets > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self._octets -= len(oldest.octets)
        return media
