"""A face is measured from the frame whose processing published it, not from the best shot that it shows."""

from datetime import datetime, timedelta

from pipeline.bench.audit import Audit, Progress, Published, Taken, Told
from pipeline.bench.latency import moments
from pipeline.changes import Put
from pipeline.records import FrameId
from tests.pipeline.bench.test_audit import told
from tests.pipeline.examples import NOON, face


def at(milliseconds: float) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def test_the_ledger_sent_with_a_face_names_its_frame() -> None:
    answer = told("t0").change
    assert isinstance(answer, Put)
    audit = Audit(
        frames={FrameId("door", "s1", number): Taken(at(200 * number), at(200 * number + 10)) for number in range(3)},
        faces=[Published(face("f0"), at(240))],
        told=[Told(answer.value, at(260), at(265))],
        progress=[Progress("s1", number, at(200 * number + 41)) for number in range(3)],
    )
    (moment,) = moments(audit)
    assert moment.captured == at(200)
    assert moment.total == 65
    assert moment.parts == (10, 30, 20, 5)


def test_a_face_that_was_never_identified_is_left_out() -> None:
    assert moments(Audit(faces=[Published(face("f9"), at(240))], progress=[Progress("s1", 0, at(241))])) == []
