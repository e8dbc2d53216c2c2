"""Every protocol of these tests in its full size, with the shortest counterexamples: python -m tests.protocol."""

import sys

from tests.protocol import naming, withdrawing
from tests.protocol.search import Verdict
from tests.protocol.test_naming import BROKEN as NAMING
from tests.protocol.test_withdrawing import BROKEN as WITHDRAWING

FULL_STATES = 1_558_225


def main() -> int:
    """Print the verdicts; 1 where one is not what the tests say."""
    wrong = 0
    for name, (protocol, _) in NAMING.items():
        wrong += _told(f"naming, {name}", naming.verdict(protocol), ghost=True)
    for broken, (kept, _) in WITHDRAWING.items():
        wrong += _told(f"withdrawing, {broken}", withdrawing.verdict(kept), ghost=True)
    wrong += _told("naming, the whole protocol", naming.verdict(naming.Protocol(epochs=5, workers=3)), ghost=False)
    full = withdrawing.verdict(withdrawing.Protocol(epochs=6, workers=3))
    wrong += _told("withdrawing, the whole protocol", full, ghost=False)
    return int(wrong > 0 or full.states != FULL_STATES)


def _told(name: str, verdict: Verdict, *, ghost: bool) -> bool:
    sys.stdout.write(f"{name}: {verdict}\n")
    return (verdict.counterexample is not None) is not ghost


if __name__ == "__main__":
    sys.exit(main())
