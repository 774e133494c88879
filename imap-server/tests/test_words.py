from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_imap.mail.words import readable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        # RFC 2047, 8
        ("=?ISO-8859-1?Q?a?=", "a"),
        ("=?ISO-8859-1?Q?a?= b", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a?=   \t  =?ISO-8859-1?Q?b?=", "ab"),
        ("=?ISO-8859-1?Q?a_b?=", "a b"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        ("=?iso-8859-1?q?Andr=E9?= Pirard", "André Pirard"),
        ("Re: =?utf-8*de?q?Gr=C3=BC=C3=9Fe?= dir", "Re: Grüße dir"),
        # a character cut in two between words, and base64 without its padding
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("=?utf-8?B?w7w?=", "ü"),
        ("=?gb2312?B?1tDOxA==?=", "中文"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        # what cannot be read stays, or is shown as what is readable of it
        ("=?utf-8?q?open", "=?utf-8?q?open"),
        ("=?x-unknown?q?a=C3=BC?=", "aü"),
        ("=?utf-8?q?=FF?=", "\ufffd"),
        ("=?rot13?q?a?=", "a"),
        ("Gr\udcfc\udcdfe", "Grüße"),
    ],
)
def test_words(value: str, text: str) -> None:
    assert readable(value) == text


@given(st.text(alphabet="=?qQbB_ \tautf-8*;\udcfcé", max_size=60))
def test_anything_is_readable(value: str) -> None:
    assert isinstance(readable(value), str)
