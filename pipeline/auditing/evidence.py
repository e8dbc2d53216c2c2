"""What findings rest on, beside the lines of an audit."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.auditing.receipted import Receipted
from pipeline.erasing.bounds import Bound


@dataclass(slots=True)
class Evidence:
    """Filled while an audit goes on: as it is made, nothing can be said by it.

    `told` are the erasures that were known `at` the time when the search began; `whole` the topics of the map of which
    every replica was read. `waiting` has, by store, the ids that still stand there, and are not yet due or were not
    looked for. `key_store` is what the store of the keys calls itself.
    """

    at: datetime | None = None
    told: Receipted = field(default_factory=lambda: Receipted((), {}, {}))
    bounds: Sequence[Bound] = ()
    whole: frozenset[str] = frozenset()
    waiting: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    key_store: str = ""
