"""The balance is told when it is settled, and told as it is when it never settles."""

import pytest

from pipeline.balance import Balance, Books, Fates
from pipeline.demo import closing
from pipeline.demo.closing import settled, told


async def test_books_are_read_until_they_are_closed_and_nothing_is_missing() -> None:
    fates = [Fates(3), Fates(3, closed=True), Fates(3, closed=True, processed=((0, 2),)), Fates(9, closed=True)]
    read: list[Fates] = []

    async def books() -> Books:
        read.append(fates[len(read)])
        return Books({("demo", "s"): read[-1]})

    assert await settled(books) == {"demo": Balance(3, 3)}
    assert read == fates[:3]


async def test_books_that_never_settle_are_told_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "SETTLED_WITHIN", 0.05)

    async def books() -> Books:
        return Books({("demo", "s"): Fates(3, closed=True, processed=((0, 1),))})

    found = await settled(books)
    assert told("demo", found["demo"]) == (
        "camera demo: 3 sampled = 2 processed + 0 skipped + 0 gaps + 0 dead letters, and 1 that nothing accounts for"
    )
