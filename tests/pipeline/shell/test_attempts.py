"""The record that kills its process is found, alone, and nobody pays for having stood beside it."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.shell.attempts import MOST, Attempts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.attempts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attempts")


def test_a_first_life_suspects_nobody(path: Path) -> None:
    attempts = Attempts(path)
    assert attempts.portions(0, [3, 4, 7]) == [3]
    assert attempts.portions(0, []) == []
    assert not attempts.suspects
    assert attempts.deaths(0, 3) == 0


def test_what_was_in_hand_at_a_death_is_tried_alone(path: Path) -> None:
    Attempts(path).begin(0, [3, 4, 7])
    attempts = Attempts(path)
    assert attempts.portions(0, [1, 2, 3, 4, 7, 8, 9]) == [2, 1, 1, 1, 2]
    assert attempts.portions(1, [3, 4]) == [2]
    assert attempts.suspects


def test_only_what_was_in_hand_is_suspected_not_what_lay_in_a_hole_of_the_offsets(path: Path) -> None:
    Attempts(path).begin(0, [3, 5_000_000])
    assert Attempts(path).portions(0, [3, 4, 5_000_000]) == [1, 1, 1]
    assert Attempts(path).deaths(0, 4) == 0
    assert path.stat().st_size < 200


def test_what_was_acknowledged_in_time_is_not_suspected(path: Path) -> None:
    attempts = Attempts(path)
    attempts.begin(0, [3, 4])
    attempts.done(0)
    assert not Attempts(path).suspects


def test_deaths_add_up_over_lives_and_a_success_clears_them(path: Path) -> None:
    for life in range(MOST):
        attempts = Attempts(path)
        assert attempts.deaths(0, 3) == life
        attempts.begin(0, [3])
    attempts = Attempts(path)
    assert attempts.deaths(0, 3) == MOST
    attempts.begin(0, [3])
    attempts.done(0)
    assert attempts.deaths(0, 3) == 0
    assert not Attempts(path).suspects


def test_a_suspect_that_compaction_took_away_is_forgotten_with_what_comes_after_it(path: Path) -> None:
    Attempts(path).begin(0, [3, 4])
    attempts = Attempts(path)
    attempts.begin(0, [9])
    attempts.done(0)
    assert not attempts.suspects


def test_partitions_do_not_stand_in_for_each_other(path: Path) -> None:
    attempts = Attempts(path)
    attempts.begin(0, [3])
    attempts.begin(1, [3])
    attempts.done(0)
    attempts = Attempts(path)
    assert (attempts.deaths(0, 3), attempts.deaths(1, 3)) == (0, 1)


def test_an_acquitted_process_may_end_at_any_time(path: Path) -> None:
    attempts = Attempts(path)
    attempts.begin(0, [3])
    attempts.acquit()
    attempts.done(0)
    attempts.begin(0, [4])
    assert not Attempts(path).suspects


def test_an_acquittal_is_not_one_of_earlier_deaths(path: Path) -> None:
    Attempts(path).begin(0, [3])
    attempts = Attempts(path)
    attempts.begin(0, [3])
    attempts.acquit()
    assert Attempts(path).deaths(0, 3) == 1


@pytest.mark.parametrize(
    "torn", ["", '{"in_hand": {"0": [3', "[]", "null", "{}", '{"in_hand": {"0": 3}, "deaths": {}}', "\x00" * 40]
)
def test_a_torn_note_is_no_note(path: Path, torn: str) -> None:
    path.write_text(torn)
    attempts = Attempts(path)
    assert not attempts.suspects
    attempts.begin(0, [3])
    assert Attempts(path).deaths(0, 3) == 1


@dataclass
class World:
    """Partitions of records, some of which kill whoever works on them, and how far they are acknowledged."""

    note: Path
    partitions: list[list[int]]
    poison: set[tuple[int, int]]
    batch: int
    committed: dict[int, int] = field(default_factory=dict)
    condemned: list[tuple[int, int]] = field(default_factory=list)
    fatal: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def live(self) -> bool:
        """One life of a shell that takes partition after partition; whether it came to the end of the work."""
        attempts = Attempts(self.note)
        for partition, offsets in enumerate(self.partitions):
            left = [offset for offset in offsets if offset >= self.committed.get(partition, 0)]
            for start in range(0, len(left), self.batch):
                if not self._work(attempts, partition, left[start : start + self.batch]):
                    return False
        return True

    def _work(self, attempts: Attempts, partition: int, offsets: list[int]) -> bool:
        for size in attempts.portions(partition, offsets):
            portion, offsets = offsets[:size], offsets[size:]
            attempts.begin(partition, portion)
            if attempts.deaths(partition, portion[0]) >= MOST:
                self.condemned += [(partition, offset) for offset in portion]
            else:
                killers = self.poison.intersection((partition, offset) for offset in portion)
                for killer in killers:
                    self.fatal.setdefault(killer, []).append(size)
                if killers:
                    return False
            attempts.done(partition)
            self.committed[partition] = portion[-1] + 1
        return True


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[list[int]], set[tuple[int, int]], int]:
    offsets = st.lists(st.integers(0, 60), max_size=15, unique=True).map(sorted)
    partitions = draw(st.lists(offsets, min_size=1, max_size=3))
    places = [(partition, offset) for partition, of_it in enumerate(partitions) for offset in of_it]
    poison = draw(st.sets(st.sampled_from(places), max_size=4)) if places else set()
    return partitions, poison, draw(st.integers(1, 6))


@given(world=worlds())
@settings(max_examples=60, deadline=None)
def test_poison_is_found_alone_by_its_third_death_and_nobody_else_is_condemned(
    folder: Path, world: tuple[list[list[int]], set[tuple[int, int]], int]
) -> None:
    note = folder / "model.attempts"
    note.unlink(missing_ok=True)
    simulated = World(note, *world)
    most = MOST * len(simulated.poison) + 1
    lives = next(life for life in range(1, most + 2) if simulated.live())
    assert lives <= most
    assert sorted(simulated.condemned) == sorted(simulated.poison)
    assert all(len(deaths) <= MOST and set(deaths[1:]) <= {1} for deaths in simulated.fatal.values())
    assert not Attempts(note).suspects
