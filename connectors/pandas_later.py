"""Keeps pymilvus from loading pandas, which it does for data frames that nobody here has.

Pandas, with the pyarrow that it loads in turn, takes longer to load than all of pymilvus, and a killed stage is missed
meanwhile. So a stand-in has its name while pymilvus is loaded; what is used of the stand-in later is the real pandas',
loaded then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

PANDAS = "pandas"
TYPES = "pandas.api.types"
MODULES = (PANDAS, "pandas.api", TYPES)
# What pymilvus takes from there by name; for anything else that it asked for, the real one would be loaded at once.
FUNCTIONS = frozenset({"infer_dtype", "is_array_like", "is_float", "is_list_like", "is_scalar"})


@contextmanager
def pandas_later() -> Iterator[None]:
    """Whoever imports pandas in this block gets the stand-in; does nothing where pandas is loaded already."""
    if PANDAS in sys.modules:
        yield
        return
    sys.modules.update({name: _StandIn(name) for name in MODULES})
    try:
        yield
    finally:
        _withdraw()


class _StandIn(ModuleType):
    """One module of pandas that is not loaded."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what the import system asks of any module
        if self.__name__ == PANDAS and name == "DataFrame":
            return _DataFrame
        if self.__name__ == TYPES and name in FUNCTIONS:
            return partial(_called, name)
        return getattr(_real(self.__name__), name)


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        # As long as nobody has loaded pandas, nothing is a data frame.
        loaded = sys.modules.get(PANDAS)
        return loaded is not None and not isinstance(loaded, _StandIn) and isinstance(instance, loaded.DataFrame)


class _DataFrame(metaclass=_Kind):
    """For annotations, and for asking whether something is a data frame."""


def _called(name: str, *arguments: Any, **options: Any) -> Any:
    function: Callable[..., Any] = getattr(_real(TYPES), name)
    return function(*arguments, **options)


def _real(module: str) -> ModuleType:
    _withdraw()
    return import_module(module)


def _withdraw() -> None:
    for name in MODULES:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
