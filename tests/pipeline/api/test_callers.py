"""Who comes in, and how often: by an adjustable clock."""

from pathlib import Path

import pytest

from pipeline.api import keys
from pipeline.api.callers import Callers
from pipeline.api.errors import Problem
from pipeline.api.keys import ApiKeys
from pipeline.api.rates import Rates

HEADER = b"ocp-apim-subscription-key"


class Timer:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "api-keys"


@pytest.fixture
def callers(file: Path, timer: Timer) -> Callers:
    return Callers(ApiKeys(file), Rates(rate=2.0, burst=3, timer=timer))


def problem(callers: Callers, *headers: tuple[bytes, bytes]) -> Problem:
    with pytest.raises(Problem) as raised:
        callers.admitted(headers)
    return raised.value


def test_both_keys_are_one_principal(callers: Callers, file: Path) -> None:
    one, two = ((HEADER, each.encode()) for each in keys.read(file))
    assert callers.admitted([one]) == callers.admitted([two])


@pytest.mark.parametrize("headers", [[], [(HEADER, b"")], [(HEADER, b"\xff")], [(b"authorization", b"Bearer x")]])
def test_nobody_else_is_admitted(callers: Callers, headers: list[tuple[bytes, bytes]]) -> None:
    told = problem(callers, *headers)
    assert (told.status, told.code) == (401, "401")


def test_a_key_that_asks_too_often_is_told_when_to_come_back(callers: Callers, file: Path, timer: Timer) -> None:
    one, two = ((HEADER, each.encode()) for each in keys.read(file))
    for _ in range(3):
        callers.admitted([one])
    told = problem(callers, one)
    assert (told.status, told.code, told.headers["Retry-After"]) == (429, "429", "1")
    callers.admitted([two])
    timer.now = 0.5
    callers.admitted([one])
    assert problem(callers, one).status == 429
    timer.now = 3600.0
    for _ in range(3):
        callers.admitted([one])
    assert problem(callers, one).status == 429
