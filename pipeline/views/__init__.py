"""Tables, replayed from their topics and kept current: who exists, and which faces have not expired."""

from pipeline.views.faces import FaceView
from pipeline.views.follower import Follower
from pipeline.views.live import LiveSet
from pipeline.views.progress import Positions, Watermarks
from pipeline.views.tombstones import Seen, Tombstones

__all__ = ["FaceView", "Follower", "LiveSet", "Positions", "Seen", "Tombstones", "Watermarks"]
