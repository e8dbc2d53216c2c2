"""The audit on a real deployment: it sees its canary wherever it must be, and every fault that is planted."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from pipeline import wiring
from pipeline.auditing import canary
from pipeline.auditing.erasure import Audit
from pipeline.auditing.findings import findings
from pipeline.auditing.report import Line, Verdict
from pipeline.commands import Invocation
from pipeline.commands.asking import asking
from pipeline.home import Home
from pipeline.machine.supervisor import Supervisor
from pipeline.operations import collections, persons
from pipeline.operations.findings import note
from pipeline.records import DIRECTORY
from pipeline.settings import Clock, Settings, parse
from pipeline.topology import COLLECTIONS, COMMANDS, GAPS, PERSONS, TEMPLATES, TOPICS
from pipeline.wiring.receipts import erasures
from tests.pipeline.erasing.settings_in_force import PLAIN

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(240),
]

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"
MODELS = {"pack": "retail", "source": str(SHARED_MODELS)} if SHARED_MODELS.is_dir() else {"pack": "dlib"}
IN_KAFKA = {"commands", "collections", "persons", "templates", "operations"}
GUESTS = "dynamicpersongroup/guests"
STORES = IN_KAFKA | {"Milvus", "key store"}


@dataclass(frozen=True, slots=True)
class Deployed:
    """A running deployment, with nobody in it."""

    home: Home
    settings: Settings

    async def audited(self, audit: Audit | None = None) -> list[Line]:
        """All lines of one audit, or of the given one."""
        wanted = audit or self.audit()
        async with (
            asking(Invocation(self.home)) as client,
            aclosing(wanted.lines(client)) as lines,
        ):
            return [line async for line in lines]

    def audit(self) -> Audit:
        return Audit(self.settings, self.home, (), {}, wait=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployed]:
    home = Home(tmp_path_factory.mktemp("audited"))
    home.prepare()
    pack, *rest = (f'{name} = "{value}"' for name, value in MODELS.items())
    text = "\n".join(["[models]", pack, *rest, "[api]", "port = 0", ""])
    (home.path / "faceline.toml").write_text(text)
    settings = parse({"models": MODELS, "api": {"port": 0}}, home.path)
    async with Supervisor(home, settings):
        yield Deployed(home, settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def member(deployed: Deployed) -> tuple[str, str]:
    """Somebody in the directory, and the uid of the group that she belongs to."""
    async with asking(Invocation(deployed.home)) as client:
        person = await persons.add(client, DIRECTORY, "somebody", request_id=client.new_id())
        await client.catch_up()
        group = await collections.add(
            client, GUESTS, recognition=None, name="guests", members=(person,), request_id=client.new_id()
        )
    return person, group


def verdicts(lines: list[Line], check: str) -> dict[str, Verdict]:
    return {line.subject: line.verdict for line in lines if line.check == check}


def failed(lines: list[Line]) -> list[Line]:
    return [line for line in lines if line.verdict in (Verdict.FAIL, Verdict.BLIND)]


@pytest.mark.usefixtures("member")
async def test_a_sound_deployment(deployed: Deployed) -> None:
    audit = deployed.audit()
    lines = await deployed.audited(audit)
    assert failed(lines) == []
    control = verdicts(lines, "control")
    assert {store: control[store] for store in STORES} == dict.fromkeys(STORES, Verdict.PASS)
    assert control["memberships"] is Verdict.PASS
    assert control["identifications"] is Verdict.CANNOT_TELL, "nobody has passed a camera"
    ended = {line.subject: line for line in lines if line.check == "canary"}
    assert ended.keys() == STORES
    assert ended["key store"].verdict is Verdict.PASS
    # Its time ends before everything that is kept is read, which may take longer than all that was promised.
    order = [line.check for line in lines]
    assert lines.index(ended["key store"]) < order.index("inventory")
    for store in ("collections", "persons", "templates", "operations"):
        assert ended[store].verdict is Verdict.PENDING
        assert ended[store].due is not None
    # It has read every replica that there is, and knows the keys of the erasures, which are the canary's.
    assert audit.evidence.whole == {topic.name for topic in TOPICS}
    told = audit.evidence.told
    assert len(told.erased) >= 2
    assert [each.id for each in told.erased if len(told.kids[each.id]) != 1] == []
    # Nothing of them is over but the time of a key.
    assert {each.store for each in findings(lines, audit.evidence, PLAIN)} <= {"key store"}


async def test_a_key_is_gone_within_what_is_promised(deployed: Deployed) -> None:
    """At one of three looks: the time is that of the whole deletion, which a machine can only make longer."""
    for _ in range(3):
        lines = await deployed.audited()
        (line,) = [each for each in lines if (each.check, each.subject) == ("canary", "key store")]
        assert line.verdict is Verdict.PASS
        assert line.bound == 5.0
        assert line.measured is not None
        if line.measured < line.bound:
            return
    pytest.fail(f"the key was gone {line.measured:.1f} s after the deletion")


async def test_who_was_erased_is_looked_for_where_no_key_seals(deployed: Deployed, member: tuple[str, str]) -> None:
    person, group = member
    async with asking(Invocation(deployed.home)) as client:
        await persons.delete(client, DIRECTORY, person, request_id=client.new_id())
        await collections.delete(client, GUESTS, request_id=client.new_id())
    audit = deployed.audit()
    lines = await deployed.audited(audit)
    assert failed(lines) == []
    assert verdicts(lines, "control")["memberships"] is Verdict.CANNOT_TELL, "nobody is left"
    assert verdicts(lines, "kafka")["memberships"] is Verdict.PENDING
    assert audit.evidence.waiting["memberships"] == {person, group}
    assert {person, group} <= audit.evidence.waiting["operations"]


async def test_the_command_says_the_same_to_machines(deployed: Deployed) -> None:
    command = [sys.executable, "-P", "-m", "pipeline", "--home", str(deployed.home.path), "audit", "erasure", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    told = json.loads(output)
    # The canary of the audit before has left its row in Milvus, and nothing says until when.
    wrong = [line for line in told["lines"] if line["verdict"] in ("FAIL", "BLIND")]
    assert all(line["subject"] == "milvus" for line in wrong), wrong
    assert (told["passed"], process.returncode) == (not wrong, int(bool(wrong))), errors
    assert set(told["seen"]) >= STORES


async def test_an_auditor_who_looks_at_the_wrong_files_is_told_to_be_blind(deployed: Deployed, tmp_path: Path) -> None:
    elsewhere = tmp_path / "persons-0" / "00000000000000000000.log"
    elsewhere.parent.mkdir()
    elsewhere.touch()
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr("pipeline.auditing.erasure.SEEN_SECONDS", 1.0)
        lines = await deployed.audited(replace(deployed.audit(), kafka_data=[tmp_path]))
    control = verdicts(lines, "control")
    blind = {store for store, verdict in control.items() if verdict is Verdict.BLIND}
    assert blind == IN_KAFKA
    assert blind <= {line.subject for line in failed(lines)}
    assert not blind & verdicts(lines, "canary").keys()

    # The folder of a broker that has no replica of the canary's partition need not have the canary.
    (tmp_path / "meta.properties").write_text("node.id=9\n")
    lines = await deployed.audited(replace(deployed.audit(), kafka_data=[tmp_path]))
    assert [line for line in lines if line.verdict is Verdict.BLIND] == []
    assert verdicts(lines, "control")["Kafka"] is Verdict.CANNOT_TELL


async def test_what_is_overdue_is_found_when_its_time_has_come(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACELINE_MOVE_CLOCK", "1")
    later = deployed.settings.model_copy(update={"clock": Clock(offset=int(timedelta(days=8).total_seconds()))})
    # No stage has nudged the partitions meanwhile: the records of the canaries before still stand there.
    audit = replace(deployed.audit(), settings=later)
    lines = await deployed.audited(audit)
    overdue = {line.subject for line in failed(lines) if line.check == "kafka"}
    assert overdue >= IN_KAFKA
    # Only what is clean is signed.
    async with asking(Invocation(deployed.home)) as client:
        await note(client, findings(lines, audit.evidence, PLAIN))
    access = wiring.kafka_access(deployed.settings, deployed.home)
    async with asyncio.timeout(60):
        while not (signed := await _signed(access)):  # noqa: ASYNC110 - a topic tells nobody
            await asyncio.sleep(0.5)
    assert "key store" in signed
    assert not overdue & signed


async def _signed(access: KafkaAccess) -> set[str]:
    """The stores that some erasure was found to have left."""
    told = (await erasures(access, PLAIN)).told()
    return {verified.store for each in told for verified in each.verified if verified.clean}


async def test_the_end_of_a_canary_is_waited_for_and_measured(deployed: Deployed) -> None:
    short = {"segment.ms": "1000", "max.compaction.lag.ms": "1000"}
    with closing(wiring.admin(deployed.settings, deployed.home)) as admin:
        await asyncio.to_thread(_set, admin, dict.fromkeys(("collections", "persons", "templates"), short))
        await asyncio.to_thread(_set, admin, {"commands": {"segment.ms": "1000", "retention.ms": "1000"}})
        nudging = asyncio.create_task(_nudge(deployed))
        try:
            lines = await deployed.audited(replace(deployed.audit(), wait=True))
        finally:
            nudging.cancel()
            with suppress(asyncio.CancelledError):
                await nudging
            await asyncio.to_thread(_repair, admin)
    ended = {line.subject: line for line in lines if line.check == "canary"}
    for store in ("commands", "collections", "persons", "templates", "key store"):
        line = ended[store]
        assert line.verdict is Verdict.PASS, line
        assert line.bound is not None
        assert line.measured is not None
        # The time of a key is shown by itself: deletions that stand in the way of others may take longer than that.
        assert line.measured < line.bound or store == "key store"


async def _nudge(deployed: Deployed) -> None:
    """Stands in for whoever nudges the partitions after a deletion: other people come and go."""
    async with asking(Invocation(deployed.home)) as client:
        while True:
            await canary.deleted(
                client, await canary.enrolled(client, deployed.settings.recognition(), 256, bytes.fromhex)
            )
            await asyncio.sleep(0.5)


async def test_planted_faults_are_all_found(deployed: Deployed) -> None:
    template = np.random.default_rng(5).standard_normal(256).astype(np.float32)
    (deployed.home.logs / "forgotten.log").write_text(json.dumps(template.tolist()))
    with closing(wiring.admin(deployed.settings, deployed.home)) as admin:
        await asyncio.to_thread(_spoil, admin)
        try:
            lines = await deployed.audited(replace(deployed.audit(), given={"vector 1": template}))
        finally:
            await asyncio.to_thread(_repair, admin)
            (deployed.home.logs / "forgotten.log").unlink()
    found = {(line.check, line.subject) for line in failed(lines)}
    assert {("inventory", "copies"), ("inventory", "persons"), ("inventory", "gaps"), ("files", "logs")} <= found
    assert str(template[0]) not in str(lines)


def _spoil(admin: KafkaAdmin) -> None:
    admin.create_topics([TopicPlan("copies", 1, 1, {})])
    admin.alter("persons", {"delete.retention.ms": None, "max.compaction.lag.ms": None})
    admin.alter("gaps", {"retention.ms": "-1"})


def _set(admin: KafkaAdmin, settings: Mapping[str, Mapping[str, str | None]]) -> None:
    for topic, changes in settings.items():
        admin.alter(topic, changes)


def _repair(admin: KafkaAdmin) -> None:
    admin.delete_topics(["copies"])
    _set(admin, {topic.name: topic.settings() for topic in (COLLECTIONS, PERSONS, TEMPLATES, COMMANDS, GAPS)})
