"""Brings a cluster's topics to what the map says, and never makes data live longer without being told to.

What is missing is created, what is looser than the map is tightened, what is tighter stays until somebody insists, and
a partition count is never touched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from connectors import ServiceRefused
from connectors.kafka_admin import ConfigValue, KafkaAdmin, TopicPlan, TopicState
from pipeline.topology import TOPICS, Deployment, Topic

# With a larger value of these, records (or what was deleted of them) stay readable or on the disk for longer.
LONGER_IF_LARGER = frozenset(
    {"segment.ms", "segment.bytes", "max.compaction.lag.ms", "min.cleanable.dirty.ratio", "file.delete.delay.ms"}
)
# With a smaller value of this, a consumer that was away misses a deletion, and keeps for ever what was to be forgotten.
LONGER_IF_SMALLER = frozenset({"delete.retention.ms"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of one topic that is not what the map says; `longer` where the map's value keeps data longer."""

    topic: str
    setting: str
    present: str
    wanted: str
    longer: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.present}, the map says {self.wanted}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The map against a cluster."""

    missing: tuple[TopicPlan, ...] = ()
    differences: tuple[Difference, ...] = ()
    wrong_counts: tuple[str, ...] = ()


@dataclass(slots=True)
class Applied:
    """What `apply` did, and what it left alone because it would keep data longer."""

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def compare(deployment: Deployment, states: Mapping[str, TopicState], topics: Iterable[Topic] = TOPICS) -> Comparison:
    """What is missing, what differs and which partition counts cannot be used, in the order of the map."""
    missing: list[TopicPlan] = []
    differences: list[Difference] = []
    wrong_counts: list[str] = []
    for topic in topics:
        name, partitions = deployment.name(topic), deployment.scale.partitions(topic)
        state = states.get(name)
        if state is None:
            missing.append(TopicPlan(name, partitions, deployment.replication, topic.settings()))
            continue
        if state.partitions != partitions:
            wrong_counts.append(_how_to_move(name, topic, state.partitions, partitions))
        differences += _differences(name, topic.settings(), state.config)
    return Comparison(tuple(missing), tuple(differences), tuple(wrong_counts))


def survey(admin: KafkaAdmin, deployment: Deployment) -> tuple[dict[str, TopicState], Comparison]:
    """The topics as the cluster has them, and how they differ from the map. Blocks; raises what KafkaAdmin raises."""
    states = admin.describe(deployment.name(topic) for topic in TOPICS)
    return states, compare(deployment, states)


def apply(admin: KafkaAdmin, deployment: Deployment, *, force: bool = False) -> Applied:
    """Create and repair; a second call does nothing. Blocks.

    A setting that would keep data longer than now is left alone and told in `refused`, unless `force`. ServiceRefused,
    before anything is touched, when a topic has another partition count than the settings.
    """
    _, found = survey(admin, deployment)
    if found.wrong_counts:
        raise ServiceRefused("\n".join(found.wrong_counts))
    applied = Applied()
    created = admin.create_topics(found.missing)
    applied.done += [f"{plan.name}: created" for plan in found.missing if plan.name in created]
    changes: dict[str, dict[str, str | None]] = {}
    for difference in found.differences:
        if difference.longer and not force:
            applied.refused.append(f"{difference}, which keeps data longer; insist with: faceline topics apply --force")
        else:
            changes.setdefault(difference.topic, {})[difference.setting] = difference.wanted
            applied.done.append(f"{difference.topic}: {difference.setting} {difference.present} -> {difference.wanted}")
    for name, wanted in changes.items():
        admin.alter(name, wanted)
    return applied


def _how_to_move(name: str, topic: Topic, present: int, wanted: int) -> str:
    setting = "streams" if topic.family == "stream" else "tables"
    return (
        f"{name} has {present} partitions, the settings say {wanted}, and every key would change its partition: set "
        f"[kafka] {setting} = {present}, or move to topics of a new [kafka] prefix, enrol there and delete the old ones"
    )


def _differences(name: str, wanted: Mapping[str, str], present: Mapping[str, ConfigValue]) -> list[Difference]:
    now = {setting: value.value for setting, value in present.items()}
    return [
        Difference(name, setting, now.get(setting, "unset"), value, _keeps_longer(setting, now, wanted))
        for setting, value in wanted.items()
        if not _same(now.get(setting), value)
    ]


def _same(present: str | None, wanted: str) -> bool:
    # Kafka answers 0.1 as 0.1 but 0 as 0.0, and a list of policies in any order.
    if present is None:
        return False
    try:
        return float(present) == float(wanted)
    except ValueError:
        return set(present.split(",")) == set(wanted.split(","))


def _keeps_longer(setting: str, present: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    if setting in ("retention.ms", "cleanup.policy"):
        return _lifetime(wanted) > _lifetime(present)
    if setting in LONGER_IF_LARGER:
        return float(wanted[setting]) > float(present.get(setting, "inf"))
    if setting in LONGER_IF_SMALLER:
        return float(wanted[setting]) < float(present.get(setting, "0"))
    return False


def _lifetime(settings: Mapping[str, str]) -> float:
    """Milliseconds that the youngest word about a key lives; for ever where nothing deletes by age."""
    retention = float(settings.get("retention.ms", "-1"))
    return inf if "delete" not in settings.get("cleanup.policy", "delete") or retention < 0 else retention
