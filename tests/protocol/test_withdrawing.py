"""What named a deleted person is withdrawn before the acknowledgement, and every rule of that is needed."""

import pytest

from tests.protocol.withdrawing import Protocol, verdict

BROKEN = {
    "the watermark goes without the tombstone": (Protocol(withdraws_with_watermark=False), 8),
    "a new owner replays before InitProducerId": (Protocol(replays_after_init=False), 8),
    "the eraser fences and withdraws nothing": (Protocol(eraser_withdraws=False), 5),
    "a watermark with requests in flight": (Protocol(flushes=False), 8),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_leaves_her_named(name: str) -> None:
    protocol, steps = BROKEN[name]
    found = verdict(protocol)
    print(f"{name}: {found}")  # noqa: T201 - the counterexample is what a reader of a failure wants
    assert found.counterexample is not None
    assert any("ACKNOWLEDGED" in step for step in found.counterexample)
    assert len(found.counterexample) == steps, "the shortest way to it"


def test_the_whole_protocol_withdraws_every_name() -> None:
    found = verdict(Protocol())
    assert found.counterexample is None, str(found)
    assert found.states == 21_245


def test_an_ordinary_producer_of_the_eraser_would_do() -> None:
    found = verdict(Protocol(eraser_is_owner=False))
    assert found.counterexample is None, str(found)
    assert found.states == 19_800


def test_a_third_worker_changes_nothing() -> None:
    """The form for every day; `python -m tests.protocol` searches six epochs, 1,558,225 states."""
    found = verdict(Protocol(epochs=4, workers=3))
    assert found.counterexample is None, str(found)
    assert found.states == 64_405
