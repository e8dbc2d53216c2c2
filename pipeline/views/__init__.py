"""Tables, replayed from their topics and kept current: who exists, and which faces have not expired."""

from pipeline.views.faces import FaceView
from pipeline.views.follower import Follower
from pipeline.views.live import LiveSet

__all__ = ["FaceView", "Follower", "LiveSet"]
