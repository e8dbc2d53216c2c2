"""What a person reads of a receipt: nothing is left out, and what is not well is not overlooked."""

import msgspec
import pytest

from pipeline.receipts import moment, page
from pipeline.receipts.page import span_of
from pipeline.records import Passed
from tests.pipeline.examples import NOON, clean, receipt, seconds
from tests.pipeline.receipts.signing import signed


def test_every_value_of_a_receipt_is_on_its_page() -> None:
    entries = signed([receipt(), clean()])
    shown = page(entries, "valid")
    for told in ("e0", "person p0", "operator/jane", "0.250 s later", "1 persons, 3 templates", "0f" * 16):
        assert told in shown
    for told in ("offset 41", "offsets 17 to 19", "watermark", "fenced", "persons/0 before 42", "within 6 min 36 s"):
        assert told in shown
    for told in ("no promise (not Faceline's)", "clean after 6 min 20 s", "0 of chain 0", "valid"):
        assert told in shown
    assert max(map(len, shown.splitlines())) <= 118


def test_of_a_fleets_many_partitions_only_those_with_tombstones_are_spelt_out() -> None:
    positions = {f"{topic}/{number}": 7 for topic in ("persons", "templates") for number in range(8)}
    passed = tuple(Passed(partition=number, positions=positions, at=NOON) for number in range(32))
    shown = page(signed([msgspec.structs.replace(receipt(), passed=passed)]), "valid").splitlines()
    about = [line.strip() for line in shown if "watermark" in line]
    assert len(about) == 32
    assert len(shown) < 50
    told = "watermark 12:00:00.000 UTC; has read persons/0 before 7, templates/0 before 7, 14 others"
    assert about[31] == f"partition 31: {told}"


def test_what_is_not_clean_and_what_is_not_there_stand_out() -> None:
    dirty = msgspec.structs.replace(clean(), clean=False)
    assert "kafka: NOT CLEAN after" in page(signed([receipt(), dirty]), "valid")
    empty = msgspec.structs.replace(receipt(), counts={}, keys=(), tombstones=(), passed=(), bounds=())
    shown = page(signed([empty]), "valid").splitlines()
    assert [line for line in shown if line.endswith("none")] == [
        f"{label:<12}none" for label in ("keys", "tombstones", "identify", "bounds", "verified")
    ]
    assert "counts      nothing was there" in shown


def test_words_of_others_draw_no_lines_of_their_own() -> None:
    event = msgspec.structs.replace(receipt(), principal="jane\nsignature   valid\x1b[2J")
    shown = page(signed([event]), "not checked")
    assert "jane\\nsignature   valid\\x1b[2J" in shown
    assert [line for line in shown.splitlines() if line.startswith("signature")] == ["signature   not checked"]


def test_a_page_is_about_a_receipt() -> None:
    with pytest.raises(ValueError, match="no receipt"):
        page(signed([clean()]), "valid")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (0.25, "0.25 s"),
        (59.96, "60 s"),
        (60, "1 min"),
        (396, "6 min 36 s"),
        (3600, "1 h"),
        (21_900, "6 h 5 min"),
        (90_061, "25 h 1 min"),
    ],
)
def test_durations_are_as_a_person_says_them(given: float, told: str) -> None:
    assert span_of(given) == told


def test_times_are_to_the_millisecond() -> None:
    assert moment(NOON + seconds(0.0256)) == "2026-01-01 12:00:00.025 UTC"
