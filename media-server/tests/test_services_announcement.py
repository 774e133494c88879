"""The stages of the announcement service, without I/O (RFC 4240 section 3, LS-2.5)."""

from __future__ import annotations

import pytest

from lemonade_media.model.actions import Accept, CancelFetch, FetchMedia, Refuse, SendBye, StartPlaying, StopPlaying
from lemonade_media.model.failures import Failure, FailureKind
from lemonade_media.services.announcement import Announcement
from lemonade_wire.sip.netann import AnnouncementUri

URL = "imap://joe@imap.example.com/INBOX/;UID=20"
HOUR = 3_600_000
FAILURE = Failure(FailureKind.NOT_FOUND, "NIL")


def offered(uri: AnnouncementUri) -> Announcement:
    announcement = Announcement(uri)
    assert announcement.start(0) == [FetchMedia(URL, uri.content_type)]
    assert announcement.media_fetched(12000, 1) == [Accept()]
    return announcement


def test_content_comes_before_the_answer_and_playing_after_the_ack() -> None:
    announcement = offered(AnnouncementUri(URL, content_type="audio/basic"))
    assert announcement.confirmed(2) == [StartPlaying((URL,), 0, HOUR)]
    assert announcement.playing_ended(12000, 12000, 14) == [SendBye()]
    assert announcement.close() == []


def test_missing_content_refuses_the_call() -> None:
    announcement = Announcement(AnnouncementUri(URL))
    announcement.start(0)
    assert announcement.fetch_failed(FAILURE, 1) == [Refuse(FAILURE)]
    assert announcement.media_fetched(12000, 2) == []


@pytest.mark.parametrize(
    ("uri", "playing"),
    [
        (AnnouncementUri(URL, repeat=2, delay=500), StartPlaying((URL,), 0, HOUR, 2, 500)),
        (AnnouncementUri(URL, repeat=None, duration=20000), StartPlaying((URL,), 0, 20000, None, 0)),
        (AnnouncementUri(URL, repeat=None, duration=2 * HOUR), StartPlaying((URL,), 0, HOUR, None, 0)),
    ],
)
def test_all_repetitions_are_one_playing_bounded_by_policy(uri: AnnouncementUri, playing: StartPlaying) -> None:
    announcement = offered(uri)
    assert announcement.confirmed(2) == [playing]
    assert announcement.next_timer() is None
    assert announcement.handle_timer(100) == []
    assert announcement.playing_ended(12000, 12000, 26.5) == [SendBye()]


def test_zero_duration_plays_nothing() -> None:
    assert offered(AnnouncementUri(URL, duration=0)).confirmed(2) == [SendBye()]


def test_locale_and_params_are_passed_to_the_fetch() -> None:
    uri = AnnouncementUri("/provisioned/welcome", locale="de_AT", substitutions=("5", "", "7"))
    assert Announcement(uri).start(0) == [FetchMedia("/provisioned/welcome", "", "de_AT", ("5", "", "7"))]


def test_hanging_up_ends_the_fetch_or_the_playing() -> None:
    fetching = Announcement(AnnouncementUri(URL))
    fetching.start(0)
    assert fetching.close() == [CancelFetch()]
    playing = offered(AnnouncementUri(URL))
    playing.confirmed(2)
    assert playing.close() == [StopPlaying()]
    assert playing.playing_ended(1000, 1000, 3) == []


def test_fault_accepts_early_and_plays_after_content_and_ack() -> None:
    announcement = Announcement(AnnouncementUri(URL), accept_early=True)
    assert announcement.start(0) == [Accept(), FetchMedia(URL)]
    assert announcement.confirmed(1) == []
    assert announcement.media_fetched(12000, 2) == [StartPlaying((URL,), 0, HOUR)]
    failing = Announcement(AnnouncementUri(URL), accept_early=True)
    failing.start(0)
    assert failing.fetch_failed(FAILURE, 1) == [SendBye()]
