"""The unexpired faces, as ciphertext: what a faceId can still be asked about."""

import heapq
from datetime import datetime

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.records import Face


class FaceView:
    """Faces by faceId, of cameras and of the API alike. An expired face is one that never existed."""

    def __init__(self) -> None:
        self._faces: dict[str, Face] = {}
        self._ends: list[tuple[datetime, str]] = []

    def apply(self, received: Received) -> None:
        """Learn from one record of `faces`; what expired before it was appended is let go of."""
        match received.change:
            case Put(key=key, value=face):
                self._faces[key] = face
                heapq.heappush(self._ends, (face.expires, key))
            case _:
                self._faces.pop(received.change.key, None)
        # The expire stage says so too, but may be away for longer than memory lasts.
        while self._ends and self._ends[0][0] <= received.appended_at:
            end, key = heapq.heappop(self._ends)
            if key in self._faces and self._faces[key].expires == end:
                del self._faces[key]

    def find(self, face_id: str, now: datetime) -> Face | None:
        """The face of that id, None where there is none that lives at `now`."""
        face = self._faces.get(face_id)
        return None if face is None or face.expires <= now else face

    def __len__(self) -> int:
        return len(self._faces)
