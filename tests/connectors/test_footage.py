"""Clips show who they should, when they should, and are the same every time."""

from pathlib import Path

import av
import numpy as np
import pytest

from connectors import footage
from connectors.footage import EILEEN_COLLINS, GRACE_HOPPER, Placement, Scene, View, draw, make_clip, portraits, story


def test_the_two_portraits_are_whole_colour_photos() -> None:
    assert {name: image.shape for name, image in portraits().items()} == {
        EILEEN_COLLINS: (512, 512, 3),
        GRACE_HOPPER: (600, 512, 3),
    }


def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "faceline\[demo\]"'):
        portraits()


def test_the_same_scenes_give_the_same_bytes(tmp_path: Path) -> None:
    scenes = [Scene(1.0, (Placement(portraits()[GRACE_HOPPER], View(), View(0.6)),)), Scene(0.5)]
    for name in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / name, scenes, size=(320, 180))
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_clip_has_the_frames_of_its_scenes_no_b_frames_and_a_key_frame_a_second(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", [Scene(2.0), Scene(1.0)], size=(320, 180), fps=10)
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert len(packets) == 30
    assert [packet.is_keyframe for packet in packets[::10]] == [True] * 3
    assert all(packet.pts == packet.dts for packet in packets)


def test_a_photo_stands_where_its_view_says_and_moves_to_its_end() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)
    face = Placement(white, View(0.25, 0.5, 0.5), View(0.75, 0.5, 0.5))
    first, *_, last = draw([Scene(1.0, (face,))], (200, 100), 10)
    for image, x in ((first, 50), (last, 150)):
        rows, columns = np.nonzero((image == 255).all(axis=2))
        assert abs(columns.mean() - x) <= 1
        assert abs(np.ptp(rows) - 50) <= 2


def test_the_story_lasts_20_s_and_shows_each_both_and_nobody() -> None:
    scenes = story(portraits())
    assert sum(scene.duration for scene in scenes) >= 20
    assert {len(scene.faces) for scene in scenes} == {0, 1, 2}


@pytest.mark.parametrize(("scenes", "size"), [([Scene(1.0)], (321, 180)), ([], (320, 180)), ([Scene(0.0)], (320, 180))])
def test_what_cannot_be_encoded_is_refused(tmp_path: Path, scenes: list[Scene], size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="give"):
        make_clip(tmp_path / "a.mp4", scenes, size=size)
