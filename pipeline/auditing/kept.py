"""Everything that is kept, looked through once: the keys, the brokers' files, and all others in the home."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.kafka_cluster import ClusterState
from connectors.key_rows import KeyRows
from pipeline.auditing import coverage, keys, leftovers
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.evidence import Evidence
from pipeline.auditing.leftovers import MILVUS_PART, Leftovers
from pipeline.auditing.receipted import receipted
from pipeline.auditing.report import Line, Verdict
from pipeline.auditing.sought import Sought, is_sought
from pipeline.erasing.bounds import MILVUS, Bound
from pipeline.erasing.encodings import Vector
from pipeline.home import Home
from pipeline.operations.erasures import Erased
from pipeline.settings import Settings
from pipeline.topology import TOPICS
from pipeline.wiring.keys import key_provider


@dataclass(frozen=True, slots=True)
class Kept:
    """What is looked through, and what is promised of it; what was seen is put down as evidence."""

    settings: Settings
    home: Home
    folders: Folders
    bounds: Sequence[Bound]
    rows: KeyRows
    given: Mapping[str, Vector]
    evidence: Evidence

    def lines(
        self, erased: Sequence[Erased], in_use: frozenset[str], cluster: ClusterState, bird: Canary
    ) -> Iterator[Line]:
        """A line for each thing; `erased` and the keys `in_use` were known before, and `bird` deleted. Blocks."""
        at, destroyed = self.settings.now(), self.rows.destroyed()
        told = receipted(erased, destroyed, self.rows.owned(), in_use)
        evidence = self.evidence
        evidence.at, evidence.told, evidence.bounds, evidence.key_store = at, told, self.bounds, self.rows.name
        yield from keys.lines(self.rows, key_provider(self.settings, self.home), told)
        sought = Sought(
            {row.kid: row.destroyed for row in destroyed if row.destroyed is not None}
            # Of these the receipts know better than the store.
            | {kid: (each.effective or each.requested).timestamp() for kid, each in told.revived.items()},
            {
                each.subject: each.effective.timestamp()
                for each in erased
                if each.effective is not None and is_sought(each.subject)
            },
        )
        yield from self._in_kafka(sought, cluster, at)
        # What the canary has left behind is told by itself, where its own time is measured.
        yield from self._in_files({kid: when for kid, when in sought.keys.items() if kid != bird.kid}, at)
        evidence.waiting[MILVUS].add(bird.kid)

    def _in_kafka(self, sought: Sought, cluster: ClusterState, at: datetime) -> Iterator[Line]:
        kafka, evidence = self.folders.kafka, self.evidence
        if kafka is None:
            return
        evidence.whole = coverage.whole(cluster, kafka.deployment, kafka.data)
        by_topic = kafka.searched(sought, at)
        for topic in TOPICS:
            if (seen := by_topic.get(kafka.deployment.name(topic))) is not None:
                evidence.waiting[topic.name] |= seen.waiting
        yield from kafka.lines(by_topic, at)

    def _in_files(self, gone: Mapping[str, float], at: datetime) -> Iterator[Line]:
        bound = next(bound for bound in self.bounds if bound.store == MILVUS)
        data = () if self.folders.kafka is None else self.folders.kafka.data
        home = self.home
        left = Leftovers(home.path, home.milvus, data, home.keys, bound, self.given)
        parts = left.searched(gone, at)
        if MILVUS_PART in parts:
            self.evidence.waiting[MILVUS] |= parts[MILVUS_PART].waiting
        yield from left.lines(parts)
        text = (
            "memory, swap, snapshots, backups, folders outside of the home (the temporary files of all that `faceline "
            "up` starts are in it), and blocks of the disk that no file holds any more are not looked at"
        )
        yield Line(check=leftovers.CHECK, subject="elsewhere", verdict=Verdict.CANNOT_TELL, text=text)
