"""Machines of sleepers for the tests of the supervisor: real processes, without an engine in them."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.home import Home
from pipeline.machine.programs import Machine
from pipeline.machine.supervised import Program
from pipeline.machine.supervisor import Supervisor
from pipeline.settings import Settings

SLEEPER = [sys.executable, "-c", "import time; time.sleep(120)"]


class Served(Program):
    """A sleeper with an address."""

    def __init__(self, address: str, log_file: Path) -> None:
        super().__init__(SLEEPER, log_file, log_file.parent)
        self.addresses = [address]

    async def start(self) -> str:  # type: ignore[override]
        """The next address it was given, or the last one again."""
        await super().start()
        return self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]


def sleepers(home: Home, commands: Mapping[str, Sequence[str]], **parts: object) -> Machine:
    """A machine whose programs are these commands, with a Kafka and a Milvus that sleep as well."""
    home.prepare()
    given: dict[str, object] = {
        "programs": {
            name: Program(command, home.logs / f"{name}.out", home.temp) for name, command in commands.items()
        },
        "prepare_topics": list,
        "prepare_models": lambda: None,
        "another": lambda stage, instance: Program(SLEEPER, home.logs / f"{stage}-{instance}.out", home.temp),
        "kafka": lambda: Served("127.0.0.1:9092", home.logs / "kafka.out"),
        "milvus": lambda: Served("http://127.0.0.1:19530", home.logs / "milvus.out"),
        **parts,
    }
    return Machine(**given)  # type: ignore[arg-type]


async def run_for_ever(home: Home) -> None:
    """What the test that kills a supervisor runs in a process of its own."""
    parts = sleepers(home, {"detect": SLEEPER, "identify": SLEEPER})
    async with Supervisor(home, Settings(), parts=parts):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run_for_ever(Home(Path(sys.argv[1]))))
