"""Finds the record that kills its process: what was in hand is noted outside of it, offsets only.

A shell notes the offsets before it works on them and clears the note after the acknowledgement. What a new life finds
noted was in hand when the old one died: such records are tried alone, and the third death of one alone is its last.
"""

import json
from collections.abc import Sequence
from pathlib import Path

MOST = 3


class Attempts:
    """The note of one worker instance: a small file, rewritten in place; made for one process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Offsets one by one: compaction leaves holes of any width between the first and the last.
        self._in_hand: dict[int, list[int]] = {}
        self._deaths: dict[int, dict[int, int]] = {}
        self._acquitted = False
        self._recall()

    def deaths(self, partition: int, offset: int) -> int:
        """How many earlier lives ended with this record in hand."""
        return self._deaths.get(partition, {}).get(offset, 0)

    @property
    def suspects(self) -> bool:
        """Whether any record of any partition is under suspicion."""
        return any(self._deaths.values())

    def portions(self, partition: int, offsets: Sequence[int]) -> list[int]:
        """Sizes of the portions to work in: suspects alone, everything else together."""
        sizes: list[int] = []
        together = 0
        for offset in offsets:
            if self.deaths(partition, offset):
                sizes += [together, 1] if together else [1]
                together = 0
            else:
                together += 1
        return [*sizes, together] if together else sizes

    def begin(self, partition: int, offsets: Sequence[int]) -> None:
        """Note that these records are in hand now."""
        self._in_hand[partition] = list(offsets)
        self._note()

    def done(self, partition: int) -> None:
        """Note that what was in hand of `partition` is acknowledged, and with it everything before."""
        last = self._in_hand.pop(partition)[-1]
        suspects = self._deaths.get(partition, {})
        for offset in [offset for offset in suspects if offset <= last]:
            del suspects[offset]
        self._note()

    def acquit(self) -> None:
        """Note that whatever ends this process from now on, what is in hand is not to blame."""
        self._acquitted = True
        self._note()

    def _note(self) -> None:
        in_hand = {} if self._acquitted else self._in_hand
        note = {
            "in_hand": {str(partition): offsets for partition, offsets in in_hand.items()},
            "deaths": {str(partition): list(offsets.items()) for partition, offsets in self._deaths.items() if offsets},
        }
        self._path.write_text(json.dumps(note))

    def _recall(self) -> None:
        try:
            note = json.loads(self._path.read_text())
            deaths = {int(p): {int(offset): int(n) for offset, n in pairs} for p, pairs in note["deaths"].items()}
            in_hand = {int(p): [int(offset) for offset in offsets] for p, offsets in note["in_hand"].items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            # Absent, or torn by a power cut: a suspect then gets more tries, which costs time and loses nothing.
            return
        self._deaths = deaths
        for partition, offsets in in_hand.items():
            suspects = self._deaths.setdefault(partition, {})
            for offset in offsets:
                suspects[offset] = suspects.get(offset, 0) + 1
        self._note()
