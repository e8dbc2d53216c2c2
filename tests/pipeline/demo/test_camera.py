"""What the settings say of the user's own footage, and what the sample is made of."""

from pathlib import Path

import pytest

from connectors import footage
from connectors.video import VideoRefused
from pipeline.demo.camera import OwnVideo, SampleCamera
from pipeline.home import Home
from pipeline.operations import Refused
from pipeline.settings import parse


def test_a_file_is_played_over_and_over(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"")
    own = OwnVideo(str(clip), ())
    assert own.source == {"file": str(clip), "loop": True}
    assert parse({"camera": [{"name": "demo", **own.source}]}, tmp_path).cameras[0].loop


def test_a_camera_is_taken_as_it_is_and_its_password_not_shown() -> None:
    own = OwnVideo("rtsp://user:secret@camera.local/stream", ())
    assert own.source == {"url": "rtsp://user:secret@camera.local/stream"}
    assert own.label == "camera.local"
    assert OwnVideo("/dev/video0", ()).source == {"device": "/dev/video0"}
    with pytest.raises(VideoRefused):
        OwnVideo("https://camera.local", ())


async def test_the_sample_has_a_clip_and_a_photo_of_everybody(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    steps: list[str] = []
    camera = SampleCamera(home)
    await camera.start(lambda name, _: steps.append(name))
    try:
        assert steps == ["make the sample footage", "start the RTSP camera"]
        assert str(camera.source["url"]).startswith("rtsp://127.0.0.1:")
        assert all(photo.is_file() for person in camera.people for photo in person.photos)
    finally:
        await camera.stop()


def test_without_the_extra_the_cure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footage, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"pip install"):
        SampleCamera(Home(tmp_path))
