"""What an outsider sees of a running deployment: every face, identification and dead letter, and contradictions."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from connectors import kafka
from connectors.kafka import KafkaAccess
from connectors.keystore import KeyDestroyed, KeyStore, wall_clock
from pipeline.changes import Put
from pipeline.codec import Received, unseal
from pipeline.records import DeadLetter, Face, Identification
from pipeline.topology import DEAD_LETTERS, FACES, IDENTIFICATIONS, Deployment
from pipeline.views import Follower


class Witness:
    """Reads with a plain consumer of committed records."""

    def __init__(self, access: KafkaAccess, deployment: Deployment, keys: KeyStore) -> None:
        self.letters: list[DeadLetter] = []
        self.named: list[Identification] = []
        self.faces_written = 0
        self.contradictions: list[str] = []
        self._keys = keys
        self._contents: dict[str, tuple[object, ...]] = {}
        topics = (FACES, IDENTIFICATIONS, DEAD_LETTERS)
        self._follower = Follower(kafka.consumer(access), deployment, topics, self._see, clock=wall_clock)

    async def start(self) -> None:
        await self._follower.start()

    async def stop(self) -> None:
        await self._follower.stop()

    async def until(self, holds: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
        """Watch until it holds; AssertionError naming it after `seconds`."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
            await self._follower.poll(0.1)

    async def somebody_named(self) -> Identification:
        """The first identification of somebody whose picture was taken after this call."""
        since = datetime.now(UTC)

        def fresh() -> bool:
            return bool(self.named) and self.named[-1].captured_at > since

        await self.until(fresh, "a fresh name")
        return self.named[-1]

    def letters_of(self, topic: str) -> list[DeadLetter]:
        return [letter for letter in self.letters if letter.topic == topic]

    def _see(self, received: Received) -> None:
        match received.change:
            case Put(value=DeadLetter() as letter):
                self.letters.append(letter)
            case Put(value=Identification() as told) if told.decision == "identified":
                self.named.append(told)
            case Put(value=Face() as face):
                self.faces_written += 1
                self._compare(face)
            case _:
                pass

    def _compare(self, face: Face) -> None:
        """One key, one face: after a crash it may belong to another track, but is the same face in the same frame."""
        try:
            template = unseal(
                self._keys, face.template, topic=FACES, key=face.face_id, field="template", expires=face.expires
            )
        except KeyDestroyed:
            return
        content = (face.shot and face.shot.frame, face.captured_at, face.expires, face.box, face.landmarks, template)
        if self._contents.setdefault(face.face_id, content) != content:
            self.contradictions.append(f"{face.face_id} at {face.captured_at}")
