"""The deletion protocol names no ghost, and every rule that is taken out of it lets one through."""

import pytest

from tests.protocol.naming import Protocol, verdict

BROKEN = {
    "acknowledged once the tombstone is written": (Protocol(waits=False), 6),
    "nobody is fenced": (Protocol(fences=False), 8),
    "a watermark with requests in flight": (Protocol(flushes=False), 8),
    "a new owner does not replay to the end": (Protocol(replays=False), 7),
    "the watermark comes from an ordinary producer": (Protocol(watermark_is_fenced=False), 9),
    "a new owner asks for the end before InitProducerId": (Protocol(reads_end_after_init=False), 8),
    "a list of the deleted for a gate": (Protocol(gate_is_live_set=False), 8),
    "a local store older than delete.retention.ms": (Protocol(keeps_local_store=True), 9),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_names_a_ghost(name: str) -> None:
    protocol, steps = BROKEN[name]
    found = verdict(protocol)
    print(f"{name}: {found}")  # noqa: T201 - the counterexample is what a reader of a failure wants
    assert found.counterexample is not None
    assert found.counterexample[-1].startswith("the broker appends her name")
    assert any(step.startswith("ACKNOWLEDGED") for step in found.counterexample)
    assert len(found.counterexample) == steps, "the shortest way to it"


def test_the_whole_protocol_names_no_ghost() -> None:
    found = verdict(Protocol())
    assert found.counterexample is None, str(found)
    assert found.states == 1602


def test_the_whole_protocol_names_no_ghost_among_three_workers_and_five_epochs() -> None:
    found = verdict(Protocol(epochs=5, workers=3))
    assert found.counterexample is None, str(found)
    assert found.states == 74_522
