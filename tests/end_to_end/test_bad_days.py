"""Bad days of a whole deployment, on its real parts while frames flow: it comes back, and its books close."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, MessageSizeTooLargeError  # type: ignore[import-untyped]

from connectors.footage import GRACE_HOPPER, Placement, Scene, View, make_clip, portraits
from connectors.keystore import KeyStore
from pipeline import wiring
from pipeline.balance import Balance, balances, read_books
from pipeline.changes import Put
from pipeline.codec import SCHEMA_HEADER, encode, seal
from pipeline.home import Home, HomeError
from pipeline.identifiers import frame_place
from pipeline.lifetimes import frame_key
from pipeline.machine.supervisor import Supervisor
from pipeline.records import DeadLetter, Frame, FrameId, Gap, Sealed, Watch
from pipeline.settings import FILE, Settings, load
from pipeline.topology import COMMANDS, FACES, FRAMES, GAPS, OPERATIONS, TEMPLATES, TOPICS, Topic
from pipeline.wiring.asking import client, reader
from pipeline.wiring.galleries import Templates
from tests.connectors.process_limits import never_dumped
from tests.end_to_end.leaks import Secrets, leaks
from tests.end_to_end.witness import Witness

# One deployment serves all of them: each test leaves it running, and the last one closes the books.
pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(300),
]

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"
STAGES = ("detect", "identify", "expire", "control", "erase", "enrol")
CAMERA = "capture-door"
VERSION = [(SCHEMA_HEADER, b"1")]
SETTINGS = """
[models]
{models}
[api]
port = 0
[detect]
track_gap = 0.4
[[camera]]
name = "door"
file = "{clip}"
loop = true
policy = "latest"
fps = 5
"""


@dataclass
class Deployed:
    """The running deployment, somebody enrolled in it."""

    home: Home
    settings: Settings
    running: Supervisor
    witness: Witness
    keys: KeyStore
    clip: Path
    temp: Path

    async def end_and_wait(self, names: Sequence[str], how: signal.Signals) -> None:
        """Send a signal to each and wait until each has a successor."""
        before, restarts = self.running.pids(), self.running.restarts()
        for name in names:
            os.kill(before[name], how)

        def back() -> bool:
            now, again = self.running.pids(), self.running.restarts()
            return all(again[name] > restarts[name] and now.get(name) not in (None, before[name]) for name in names)

        await self.witness.until(back, f"{', '.join(names)} to start again after {how.name}")

    async def balance(self) -> Balance:
        access = wiring.kafka_access(self.settings, self.home)
        books = await read_books(lambda: reader(access), self.settings.deployment(), self.settings.now)
        return balances(books)["door"]

    async def publish(self, topic: Topic, partition: int, *records: Sequence[object]) -> list[int]:
        """Write key, value and headers as they are, beyond any size that a client of ours would send; the offsets."""
        access = wiring.kafka_access(self.settings, self.home)
        producer = AIOKafkaProducer(**access.aiokafka(), max_request_size=32 << 20)
        await producer.start()
        try:
            name = self.settings.deployment().name(topic)
            return [
                (await producer.send_and_wait(name, key=key, value=value, headers=headers, partition=partition)).offset
                for key, value, headers in records
            ]
        finally:
            await producer.stop()


def _clip(path: Path) -> None:
    """Four passages of one person, with nobody between them."""
    photo = portraits()[GRACE_HOPPER]
    passage = Scene(1.8, (Placement(photo, View(0.42, 0.55, 1.3), View(0.58, 0.55, 1.3)),))
    make_clip(path, [passage, Scene(0.8)] * 4, size=(640, 360), fps=15)


async def _enrol(home: Home, photo: Path) -> None:
    command = [
        sys.executable,
        "-P",
        "-m",
        "pipeline",
        "--home",
        str(home.path),
        "person",
        "add",
        "Grace Hopper",
        str(photo),
    ]
    adding = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(adding.communicate(), 90)
    assert adding.returncode == 0, output.decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployed]:
    """A camera at a door, and one person who is known."""
    folder = tmp_path_factory.mktemp("bad-days")
    home, clip, photo = Home(folder / "home"), folder / "clip.mp4", folder / "grace.jpg"
    home.prepare()
    _clip(clip)
    cv2.imwrite(str(photo), portraits()[GRACE_HOPPER])
    temp = folder / "temp"
    temp.mkdir()
    models = f'pack = "retail"\nsource = "{SHARED_MODELS}"' if SHARED_MODELS.is_dir() else 'pack = "dlib"'
    (home.path / FILE).write_text(SETTINGS.format(models=models, clip=clip))
    settings = load(home.path)
    async with AsyncExitStack() as stack:
        # What a process writes to the system's temporary folder, it writes here.
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("TMPDIR", str(temp))
        running = await stack.enter_async_context(Supervisor(home, settings))
        await _enrol(home, photo)
        keys = KeyStore.create(home.keys)
        witness = Witness(wiring.kafka_access(settings, home), settings.deployment(), keys)
        await witness.start()
        try:
            await witness.somebody_named()
            yield Deployed(home, settings, running, witness, keys, clip, temp)
        finally:
            await witness.stop()
            keys.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
@pytest.mark.parametrize("names", [(*STAGES, CAMERA), ("milvus",), ("kafka",)], ids=lambda names: names[-1])
async def test_whoever_is_ended_comes_back_and_people_are_named_again(
    door: Deployed, names: tuple[str, ...], how: signal.Signals
) -> None:
    await door.end_and_wait(names, how)
    await door.witness.somebody_named()


async def test_no_record_in_any_topic_ends_a_stage(door: Deployed) -> None:
    before = dict(door.running.restarts())
    of_another_topic = encode(GAPS, Put("door", Gap(camera="door", session="s", first=0, last=0, reason="none")))
    foreign = encode(FRAMES, Put("door", _frame(door, "foreign", b"")))
    written: dict[str, int] = {}
    for topic in TOPICS:
        bad = [
            (b"garbage", os.urandom(300), VERSION),
            (b"text", b'{"no": "record"}', VERSION),
            (b"empty", b"", VERSION),
            (b"foreign", (of_another_topic if topic is FRAMES else foreign).value, VERSION),
            (b"largest", b"\xc1" * (topic.max_bytes - 200), VERSION),
            (b"bare", foreign.value, []),
            (b"\xff\xfe", foreign.value, VERSION),
        ]
        if topic in (FRAMES, COMMANDS):
            # Whoever follows or replays a topic stops at a newer schema: a table read in part would be a lie.
            bad.append((b"newer", foreign.value, [(SCHEMA_HEADER, b"2")]))
        written[topic.name] = len(await door.publish(topic, 0, *bad))
        await door.publish(topic, 0, (b"forgotten", None, VERSION))
        with pytest.raises(MessageSizeTooLargeError):
            await door.publish(topic, 0, (b"oversized", b"x" * (topic.max_bytes + 1), VERSION))
        if topic.cleanup != "delete":
            with pytest.raises(KafkaError):
                await door.publish(topic, 0, (None, b"without a key", VERSION))
    readers = {FRAMES: 1, FACES: 2, COMMANDS: 1, OPERATIONS: 1, TEMPLATES: 1}
    for topic, stages in readers.items():
        expected = stages * written[topic.name]
        await door.witness.until(
            lambda topic=topic, expected=expected: len(door.witness.letters_of(topic.name)) >= expected,  # type: ignore[misc]
            f"{expected} dead letters of {topic.name}",
        )
    assert {letter.topic for letter in door.witness.letters} == {topic.name for topic in readers}
    assert all(letter.partition == 0 and letter.attempts == 1 for letter in door.witness.letters)
    await door.witness.somebody_named()
    assert door.running.restarts() == before


async def test_views_that_are_replayed_skip_what_they_cannot_read(door: Deployed) -> None:
    # After the test above, every topic that is replayed holds garbage.
    await door.end_and_wait((*STAGES, CAMERA), signal.SIGKILL)
    await door.witness.somebody_named()
    told = "".join(file.read_text(errors="replace") for file in door.home.logs.glob("identify*.jsonl"))
    assert "skipped" in told
    assert "identifications/0 at" in told


async def test_a_frame_that_can_never_be_seen_is_a_dead_letter_and_the_camera_goes_on(door: Deployed) -> None:
    moved = _frame(door, "moved", _jpeg()).image
    frames = {
        "the 2000 bytes are no whole image": _frame(door, "noise", os.urandom(2_000)),
        "the 5000 bytes are no whole image": _frame(door, "truncated", _jpeg()[:5_000]),
        "its key is destroyed": _frame(door, "unsealed", b"", image=Sealed("0" * 32, b"\0" * 12, b"\0" * 32)),
        "altered, or moved": _frame(door, "elsewhere", b"", image=moved),
    }
    for frame in frames.values():
        await _publish_frame(door, frame)
    await door.witness.until(lambda: all(_letter(door, frame) for frame in frames.values()), "four dead letters")
    for expected, frame in frames.items():
        letter = _letter(door, frame)
        assert letter is not None
        assert (letter.topic, letter.attempts) == ("frames", 1)
        assert expected in letter.error
    await door.witness.somebody_named()


async def test_a_frame_that_ends_detect_each_time_is_tried_three_times(door: Deployed) -> None:
    restarts = door.running.restarts()["detect"]
    # No face lives that long: no calendar has its end.
    deadly = _frame(door, "deadly", _jpeg(), watch=Watch(collections=(), face_ttl=10**15))
    await _publish_frame(door, deadly)
    await door.witness.until(lambda: _letter(door, deadly) is not None, "the dead letter of a deadly frame")
    assert [letter.attempts for letter in door.witness.letters if letter.frame == deadly.id] == [3]
    assert door.running.restarts()["detect"] == restarts + 3
    await door.witness.somebody_named()


async def test_no_process_can_leave_its_memory_in_a_file(door: Deployed) -> None:
    ours = psutil.Process(os.getpid())
    running = {each.pid: " ".join(each.cmdline()) for each in ours.children(recursive=True)}
    named = door.running.pids()
    assert set(named) == {*STAGES, "api", CAMERA, "kafka", "milvus"}
    assert set(named.values()) <= running.keys()
    guarded = {pid: line for pid, line in running.items() if str(door.home.path) in line or pid in named.values()}
    # Each has its guardian.
    assert len(guarded) >= 2 * len(named)
    assert [line for pid, line in guarded.items() if not never_dumped(pid)] == []


async def test_the_temporary_files_of_every_process_lie_in_the_home(door: Deployed) -> None:
    processes = {name: psutil.Process(pid) for name, pid in door.running.pids().items()}
    temp = str(door.home.temp)
    assert {name: process.environ().get("TMPDIR") for name, process in processes.items()} == dict.fromkeys(
        processes, temp
    )
    assert f"-Djava.io.tmpdir={temp}" in processes["kafka"].cmdline()
    assert list(door.temp.iterdir()) == [], "the system's, as everybody else here has it"


async def test_nobodys_name_template_or_key_is_in_the_clear_in_any_file(door: Deployed) -> None:
    access, deployment = wiring.kafka_access(door.settings, door.home), door.settings.deployment()
    async with client(access, deployment, door.keys, "operator/test") as asking:
        templates = list(asking.tables.live.templates.values())
    opening = Templates(door.keys, wiring.catalogue())
    vectors = [vector for vector in map(opening.enrolled, templates) if vector is not None]
    kids = sorted({each.vector.kid for each in templates})
    assert len(vectors) == len(templates) > 0
    known = Secrets(["Grace Hopper"], vectors, [door.keys._lease(kid).key for kid in kids])
    folders = [door.home.path, door.temp]
    # The search sees what is there: the keys' ids, on the topics; and each secret, where one is planted.
    kafka = [each for each in door.home.kafka.rglob("*.log") if kids[0].encode() in each.read_bytes()]
    assert kafka
    for name, text in known.needles().items():
        planted = door.temp / "planted"
        with planted.open("wb") as file:
            file.seek(1 << 20)  # holes before and behind, as in Kafka's indexes
            file.write(b"\x00beginning " + text + b" end")
            file.truncate(2 << 20)
        assert [found for found in leaks(known, [door.temp]) if found.startswith(f"{name}: ")], name
        planted.unlink()
    assert leaks(known, folders) == []


async def test_a_second_up_is_refused_while_the_first_goes_on(door: Deployed) -> None:
    with pytest.raises(HomeError, match=f"pid {os.getpid()} already runs the home .*faceline down"):
        async with Supervisor(door.home, door.settings):
            pass
    await door.witness.somebody_named()


async def test_the_books_close_and_no_key_had_two_contents(door: Deployed) -> None:
    # A closed session is the successor's to check: so the camera starts once more before it stops.
    await door.end_and_wait((CAMERA,), signal.SIGKILL)
    await door.witness.somebody_named()
    await door.running.stop(CAMERA)
    deadline = time.monotonic() + 60
    while not (balance := await door.balance()).holds:
        assert time.monotonic() < deadline, balance
        await asyncio.sleep(0.3)
    assert balance.processed > (balance.sampled - balance.skipped) / 2 > 0
    assert door.witness.faces_written > 0
    assert door.witness.contradictions == []


def _letter(door: Deployed, frame: Frame) -> DeadLetter | None:
    return next((letter for letter in door.witness.letters if letter.frame == frame.id), None)


def _jpeg() -> bytes:
    return cv2.imencode(".jpg", portraits()[GRACE_HOPPER])[1].tobytes()


def _frame(
    door: Deployed,
    session: str,
    jpeg: bytes,
    *,
    image: Sealed | None = None,
    watch: Watch = Watch(collections=()),  # noqa: B008 - frozen
) -> Frame:
    """A frame as a foreign camera would publish it."""
    identity = FrameId("forged", session, 0)
    now = datetime.now(UTC)
    if image is None:
        key = frame_key("forged", now)
        kid = door.keys.named(key.name, key.expires)
        image = seal(door.keys, kid, jpeg, topic=FRAMES, key=frame_place(identity), field="image")
    return Frame(id=identity, previous=-1, captured_at=now, width=640, height=360, image=image, watch=watch)


async def _publish_frame(door: Deployed, frame: Frame) -> None:
    wire = encode(FRAMES, Put(frame.id.camera, frame))
    partition = door.settings.deployment().scale.of_camera("door")
    await door.publish(FRAMES, partition, (wire.key, wire.value, list(wire.headers)))
