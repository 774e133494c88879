"""The files of recordings by their URLs, and the URLs that are refused."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lemonade_media.recording.file import RecordingFile, RecordingRefusedError, recording_path, sweep
from lemonade_wire.mscml.messages import PlayRecordRequest
from lemonade_wire.rtp.g711 import decode_ulaw

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
    assert recording_path(FOLDER, PlayRecordRequest(url)) == FOLDER / name


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
def test_urls_that_are_refused_and_their_codes(url: str, code: int) -> None:
    with pytest.raises(RecordingRefusedError) as caught:
        recording_path(FOLDER, PlayRecordRequest(url))
    assert caught.value.code == code


def test_without_a_folder_every_recording_is_refused() -> None:
    with pytest.raises(RecordingRefusedError, match="403 Forbidden"):
        recording_path(None, PlayRecordRequest("file:///a.wav"))


@pytest.mark.parametrize("encoding", ["alaw", "msgsm"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(RecordingRefusedError, match="415 Unsupported Media"):
        recording_path(FOLDER, PlayRecordRequest("file:///a.wav", encoding=encoding))
    assert recording_path(FOLDER, PlayRecordRequest("file:///a.wav", encoding="ulaw"))


@given(st.text("a./%2eEfF5cC\\:", max_size=30) | st.text(max_size=30))
def test_every_path_is_below_the_folder(text: str) -> None:
    try:
        path = recording_path(FOLDER, PlayRecordRequest(f"file:///{text}"))
    except RecordingRefusedError:
        return
    assert path.is_relative_to(FOLDER)
    assert ".." not in path.parts
    assert path != FOLDER


SOUND = bytes(range(256)) * 20


def head(sound: int) -> bytes:
    """Return the 58 octets before the sound: `fmt` of mu-law, mono, 8,000 Hz, 8,000 octets a second, 8 bits."""
    text = (
        "52494646 {riff} 57415645"
        "666d7420 12000000 0700 0100 401f0000 401f0000 0100 0800 0000"
        "66616374 04000000 {sound} 64617461 {sound}"
    )
    return bytes.fromhex(
        text.format(riff=struct.pack("<I", 50 + sound + sound % 2).hex(), sound=struct.pack("<I", sound).hex())
    )


def write(path: Path, octets: bytes, *, append: bool = False, count: int | None = None) -> int:
    file = RecordingFile(path, append=append)
    for start in range(0, len(octets), 700):
        file.write(octets[start : start + 700])
    return file.finish(len(octets) if count is None else count)


def heard(path: Path) -> np.ndarray:
    """Return the samples as FFmpeg decodes them."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        assert container.streams.audio[0].rate == 8000
    samples: np.ndarray = np.concatenate(frames, axis=1)[0]
    return samples


def test_the_file_is_wav_octet_by_octet(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    assert write(path, SOUND[:5]) == 64
    assert path.read_bytes() == head(5) + SOUND[:5] + b"\0"
    assert os.listdir(tmp_path) == ["a.wav"]


def test_ffmpeg_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", SOUND)
    assert (heard(tmp_path / "a.wav") == decode_ulaw(SOUND)).all()


def test_finish_cuts_the_sound_to_its_length(tmp_path: Path) -> None:
    assert write(tmp_path / "a.wav", SOUND, count=100) == 158
    assert (tmp_path / "a.wav").read_bytes() == head(100) + SOUND[:100]


def test_a_new_recording_takes_the_place_of_the_old_one_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, SOUND)
    file = RecordingFile(path)
    file.write(SOUND[:10])
    assert path.read_bytes() == head(len(SOUND)) + SOUND
    file.finish(10)
    assert path.read_bytes() == head(10) + SOUND[:10]


def test_appending_goes_on_where_the_file_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    assert write(path, SOUND[:7], append=True) == 66
    assert write(path, SOUND[7:20], append=True) == 78
    assert path.read_bytes() == head(20) + SOUND[:20]
    # another writer's: more chunks, a fmt of 16 octets
    shorter = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 7, 1, 8000, 8000, 1, 8)
    path.write_bytes(shorter + b"LIST\3\0\0\0abc\0data\2\0\0\0" + SOUND[:2] + b"more")
    write(path, SOUND[2:9], append=True)
    assert path.read_bytes() == head(9) + SOUND[:9] + b"\0"


@pytest.mark.parametrize(
    "there",
    [
        b"",
        b"no WAV at all",
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd",
        b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data\4\0\0\0abcd",
        b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 7, 2, 8000, 16000, 2, 8) + b"data\4\0\0\0abcd",
    ],
)
def test_a_file_that_is_no_mu_law_wav_is_not_appended_to_and_stays(tmp_path: Path, there: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(there)
    with pytest.raises(OSError, match=r"a\.wav"):
        RecordingFile(path, append=True)
    assert path.read_bytes() == there
    assert os.listdir(tmp_path) == ["a.wav"]


def test_a_discarded_recording_leaves_nothing(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path / "a.wav")
    file.write(SOUND)
    file.discard()
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        RecordingFile(tmp_path / "none" / "a.wav")


def test_a_killed_writer_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path, SOUND)
    program = (
        "import sys, time; from pathlib import Path; from lemonade_media.recording.file import RecordingFile\n"
        "file = RecordingFile(Path(sys.argv[1])); file.write(bytes(100000))\n"
        "print('written', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert path.read_bytes() == head(len(SOUND)) + SOUND


def test_sweep_removes_files_of_killed_servers_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom lemonade_media.recording.file import RecordingFile\n"
        "file = RecordingFile(Path(sys.argv[1]))\nfile.write(b'x' * 70000)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for name in ("a.wav", "deep/b.wav"):
        assert subprocess.run([sys.executable, "-c", code, tmp_path / name], check=False).returncode == -signal.SIGKILL
    others = [".other.part", ".lemonade-x.wav", "lemonade-x.part", "a.wav"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "elsewhere").write_bytes(b"mine")
    (tmp_path / ".lemonade-link.part").symlink_to(tmp_path / "elsewhere")
    running = RecordingFile(tmp_path / "c.wav")
    running.write(SOUND)
    assert sweep(tmp_path) == 2
    assert not list((tmp_path / "deep").iterdir())
    running.finish(len(SOUND))
    assert sweep(tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == {*others, "c.wav", "deep", "elsewhere", ".lemonade-link.part"}
