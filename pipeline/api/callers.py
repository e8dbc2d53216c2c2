"""Who asks, and how often: the one place where a request gets its principal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.api.errors import denied, too_often
from pipeline.api.keys import ApiKeys
from pipeline.api.rates import Rates

KEY_HEADER: Final = b"ocp-apim-subscription-key"
SUBSCRIPTION: Final = "subscription"


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a request is carried out."""

    name: str


@dataclass(frozen=True, slots=True)
class Callers:
    """Admits whoever shows a live key, as often as the settings allow."""

    keys: ApiKeys
    rates: Rates

    def admitted(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The principal of a request with these headers; Problem 401 for nobody we know, 429 for too many requests."""
        number = self.keys.number_of(_given(headers))
        if number is None:
            raise denied()
        if (seconds := self.rates.wait(number)) > 0:
            raise too_often(seconds)
        # The same for both keys: a request that is repeated after a rotation has to find its first answer.
        return Principal(SUBSCRIPTION)


def _given(headers: Iterable[tuple[bytes, bytes]]) -> str:
    return next((value.decode("latin-1") for name, value in headers if name == KEY_HEADER), "")
