"""A passage is named by the majority of its tracks, and one wrong track makes it wrong."""

from collections.abc import Sequence

import pytest

from pipeline.bench.passages import Fate, Passages, fate


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], "unseen"),
        ([None], "unknown"),
        (["ada"], "named"),
        (["ada", None], "unknown"),
        (["ada", None, "ada"], "named"),
        (["grace"], "wrong"),
        (["ada", "ada", "grace"], "wrong"),
    ],
)
def test_fate(told: Sequence[str | None], expected: Fate) -> None:
    assert fate("ada", told) == expected


def test_a_wrong_name_is_unsound_whatever_else_was_right() -> None:
    passages = Passages("retail", 2, {("ada", "1.jpg"): "named", ("ada", "2.jpg"): "wrong"})
    assert passages.named == 0.5
    assert not passages.sound
    assert Passages("retail", 1, {("ada", "1.jpg"): "unknown"}).sound
