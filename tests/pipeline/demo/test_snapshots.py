"""Which pictures are opened for the sheet, and which of them are chosen."""

from datetime import timedelta

import pytest

from pipeline.demo.snapshots import RECENT_FRAMES, Mark, Snapshot, Snapshots, chosen
from pipeline.demo.witness import Witness
from pipeline.records import Box, Frame
from tests.pipeline.demo.records import NOW, Noted, face, frame, frame_id, identification


class Album:
    """Snapshots beside the witness that tells them of passages, as in the demo."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.snapshots = Snapshots(self._open)
        self._witness = Witness(lambda told: None if told.person_id == "deleted" else told.person_id, Noted())

    def _open(self, taken: Frame) -> bytes | None:
        self.opened.append(taken.id.sequence)
        return None if taken.id.sequence == 13 else b"jpeg"

    def see(self, number: int, track: str = "t", person: str | None = None, *, shown: bool = True) -> None:
        for each in (frame(number), face(f"f{number}{track}", number, track)) if shown else ():
            self.snapshots.take(each)
        passage = self._witness.take(identification(track, f"f{number}{track}", number, person))
        assert passage is not None
        self.snapshots.mark(passage)


@pytest.fixture
def album() -> Album:
    return Album()


def test_two_faces_of_one_frame_share_a_picture(album: Album) -> None:
    album.snapshots.begin("one", NOW)
    album.see(1, "a", "Ada")
    album.see(1, "b")
    (chapter,) = album.snapshots.chapters
    assert [mark.label for mark in chapter.snapshots[frame_id(1)].marks.values()] == ["Ada", "unknown"]
    assert album.opened == [1]


def test_what_was_seen_before_the_chapter_is_not_opened(album: Album) -> None:
    album.see(1)
    album.snapshots.begin("one", NOW + timedelta(seconds=5))
    album.see(4)
    album.see(6)
    assert album.opened == [6]


def test_a_frame_whose_key_is_gone_or_that_was_never_seen_has_no_picture(album: Album) -> None:
    album.snapshots.begin("one", NOW)
    album.see(13)
    album.see(14, shown=False)
    assert not album.snapshots.chapters[0].snapshots


def test_whose_name_is_destroyed_by_now_has_no_picture(album: Album) -> None:
    album.snapshots.begin("one", NOW)
    album.see(1, "t", "deleted")
    assert album.opened == []


def test_only_the_newest_frames_are_held_and_none_after_the_end(album: Album) -> None:
    album.snapshots.begin("one", NOW)
    for number in range(1, RECENT_FRAMES + 2):
        album.snapshots.take(frame(number))
    album.snapshots.take(face("f1t", 1))
    album.see(1, shown=False)
    assert album.opened == []
    album.snapshots.end()
    album.see(RECENT_FRAMES + 5)
    assert album.opened == []


def snapshot(second: int, **labels: str) -> Snapshot:
    marks = {track: Mark(track, Box(0, 0, 1, 1), label, "", known=True) for track, label in labels.items()}
    return Snapshot(NOW + timedelta(seconds=second), b"", marks)


def test_chosen_are_many_faces_first_then_new_faces_and_no_track_twice() -> None:
    alone, both, again, other = (
        snapshot(1, a="Ada"),
        snapshot(2, b="Ada", c="Grace"),
        snapshot(3, c="Grace"),
        snapshot(4, d="Ada"),
    )
    assert chosen([alone, both, again, other]) == [alone, both, other]
    assert chosen([alone, both, again, other], count=2) == [both, other]
