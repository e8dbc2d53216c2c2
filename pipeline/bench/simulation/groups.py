"""The group coordinator, as far as `Keeper` needs it: static members, assignments, takeovers, committed offsets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pipeline.bench.simulation.transactions import Place

Answer = Callable[[list[int]], None]


@dataclass(slots=True, eq=False)
class Member:
    """One consumer in a group; `silent` says for how many seconds nothing was heard of its process.

    A `deaf` one gets no answer to its heartbeats, and does not learn that it is a member no more.
    """

    instance: str
    silent: Callable[[], float]
    answer: Answer | None = None
    deaf: bool = False


@dataclass(slots=True)
class Group:
    """The members of one group on one topic; partitions go round by instance name."""

    partitions: int
    later: Callable[[float | None, Callable[[], None]], None]
    seen: Callable[[str], None]
    session: float
    _members: dict[str, Member] = field(default_factory=dict)
    _given: dict[str, list[int]] = field(default_factory=dict)
    _deaf: list[Member] = field(default_factory=list)
    _rebalancing: bool = False
    _round: int = 0

    def join(self, member: Member, answer: Answer) -> None:
        """JoinGroup and SyncGroup: `answer` is given the member's partitions, when everybody is there."""
        before = self._members.get(member.instance)
        self._members[member.instance] = member
        member.answer = answer
        if before is None:
            self._rebalance()
        elif not self._rebalancing:
            # A static member that was started again finds its partitions, and nobody else is troubled.
            self._tell(member)
        self._complete_if_all()

    def must_rejoin(self, member: Member) -> bool:
        """Heartbeat: whether the member has to join again."""
        if member.deaf:
            return False
        mine = self._members.get(member.instance) is member
        return not mine or (self._rebalancing and member.answer is None)

    def leave(self, member: Member) -> None:
        """LeaveGroup."""
        if self._members.get(member.instance) is member:
            self._expel(member)

    def check_sessions(self) -> None:
        """Expel whoever has been silent for a session."""
        for member in list(self._members.values()):
            if member.silent() > self.session:
                self.seen("a session timed out")
                self._expel(member)

    def eject(self, instance: str, seconds: float) -> None:
        """What a network that loses every heartbeat does: the member lives on, and others get what it has."""
        member = self._members.get(instance)
        if member is not None:
            member.deaf = True
            self._deaf.append(member)
            self.later(seconds, lambda: setattr(member, "deaf", False))
            self._expel(member)

    def owner(self, partition: int) -> str | None:
        """Who has a partition now."""
        return next((name for name, given in self._given.items() if partition in given), None)

    def heir(self, partition: int) -> str | None:
        """Who would have it if its owner went."""
        names = sorted(set(self._members) - {self.owner(partition)})
        return names[partition % len(names)] if names else None

    def hear_again(self) -> None:
        """Every heartbeat is answered from now on."""
        for member in self._deaf:
            member.deaf = False
        self._deaf = []

    @property
    def is_rebalancing(self) -> bool:
        """Whether partitions are being given anew."""
        return self._rebalancing

    def instances(self) -> Iterable[str]:
        """Whoever is a member now."""
        return list(self._members)

    def _expel(self, member: Member) -> None:
        del self._members[member.instance]
        self._given.pop(member.instance, None)
        self._rebalance()

    def _rebalance(self) -> None:
        self._rebalancing = True
        self._round += 1
        this = self._round
        self.later(self.session, lambda: self._give_up(this))
        self._complete_if_all()

    def _give_up(self, this: int) -> None:
        """Whoever has not joined in time is out."""
        if self._rebalancing and self._round == this:
            for member in [member for member in self._members.values() if member.answer is None]:
                del self._members[member.instance]
            self._complete()

    def _complete_if_all(self) -> None:
        if self._rebalancing and all(member.answer is not None for member in self._members.values()):
            self._complete()

    def _complete(self) -> None:
        self._rebalancing = False
        names = sorted(self._members)
        self._given = {name: [] for name in names}
        for partition in range(self.partitions if names else 0):
            self._given[names[partition % len(names)]].append(partition)
        for member in self._members.values():
            self._tell(member)

    def _tell(self, member: Member) -> None:
        answer, member.answer = member.answer, None
        if answer is not None:
            answer(self._given.get(member.instance, []))


@dataclass(slots=True)
class Groups:
    """Every group of a broker; `make` opens one for a topic."""

    make: Callable[[str], Group]
    _known: dict[str, Group] = field(default_factory=dict)
    _offsets: dict[str, dict[Place, int]] = field(default_factory=dict)

    def of(self, name: str, topic: str) -> Group:
        """The group of that name, which reads `topic`."""
        if name not in self._known:
            self._known[name] = self.make(topic)
        return self._known[name]

    def all(self) -> dict[str, Group]:
        """By name."""
        return self._known

    def commit(self, group: str, place: Place, offset: int) -> None:
        """Make `offset` the place to go on from."""
        self._offsets.setdefault(group, {})[place] = offset

    def committed(self, group: str, place: Place) -> int | None:
        """The last committed offset; those of a transaction that is not through do not count."""
        return self._offsets.get(group, {}).get(place)
