"""Where recordings go, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.recordings import RecordingRefusedError, recording_path
from lemonade_wire.mscml.request import PlayRecord

FOLDER = Path("/srv/recordings")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file:///a.wav", "a.wav"),
        ("file:///rec/a.WAV", "rec/a.WAV"),
        ("FILE://localhost/a.wav", "a.wav"),
        ("file:/a.wav", "a.wav"),
        ("file:////nfs.example.com/rec/name.wav", "nfs.example.com/rec/name.wav"),  # RFC 5022, figure 19
        ("file:///a%2Db.wav", "a-b.wav"),
        ("file:///greeting", "greeting"),
    ],
)
def test_a_file_below_the_folder(url: str, name: str) -> None:
    assert recording_path(FOLDER, PlayRecord(url)) == FOLDER / name


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://host/a.wav", 400),
        ("a.wav", 400),
        ("file:a.wav", 400),
        ("file://host/a.wav", 400),
        ("file:///", 400),
        ("", 400),
        ("file:///../a.wav", 403),
        ("file:///x/../../a.wav", 403),
        ("file:///%2e%2e/a.wav", 403),
        ("file:///x%2f..%2fa.wav", 403),
        ("file:///..%5ca.wav", 403),
        ("file:///.hidden.wav", 403),
        ("file:///-rf.wav", 403),
        ("file:///a b.wav", 403),
        ("file:///a\n.wav", 403),
        ("file:///a%00.wav", 403),
        ("file:///%252e.wav", 403),
        ("file:///" + "x/" * 9 + "a.wav", 403),
        ("file:///" + "x" * 101, 403),
        ("file:///a.ulaw", 415),
        ("file:///a.3gp", 415),
    ],
)
def test_what_is_refused(url: str, code: int) -> None:
    with pytest.raises(RecordingRefusedError) as caught:
        recording_path(FOLDER, PlayRecord(url))
    assert caught.value.code == code


def test_without_a_folder_nothing_is_recorded() -> None:
    with pytest.raises(RecordingRefusedError, match="403 Forbidden"):
        recording_path(None, PlayRecord("file:///a.wav"))


@pytest.mark.parametrize("encoding", ["alaw", "msgsm"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(RecordingRefusedError, match="415 Unsupported Media"):
        recording_path(FOLDER, PlayRecord("file:///a.wav", encoding=encoding))
    assert recording_path(FOLDER, PlayRecord("file:///a.wav", encoding="ulaw"))


@given(st.text("a./%2eEfF5cC\\:", max_size=30) | st.text(max_size=30))
def test_nothing_ever_leaves_the_folder(text: str) -> None:
    try:
        path = recording_path(FOLDER, PlayRecord(f"file:///{text}"))
    except RecordingRefusedError:
        return
    assert path.is_relative_to(FOLDER)
    assert ".." not in path.parts
    assert path != FOLDER
