"""How a static member leaves its group for good.

A static member that stops says nothing: the broker keeps its partitions for it until the session times out, which is
right for one that died and is started again. Whoever was asked to end has no such plans.
"""

from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]


def leaves_at_stop(consumer: AIOKafkaConsumer | None) -> None:
    """Have this consumer leave its group when it is stopped, so that others take its partitions over at once.

    Does nothing where there is no consumer yet, or one that has not begun to start.
    """
    coordinator = None if consumer is None else consumer._coordinator
    if coordinator is None:
        return
    leave = coordinator._maybe_leave_group

    async def leave_by_member_id() -> None:
        # aiokafka lets only dynamic members leave; the broker takes the member id of either kind.
        coordinator._group_instance_id = None
        await leave()

    coordinator._maybe_leave_group = leave_by_member_id
