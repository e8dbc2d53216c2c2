"""Keeps Python 3.11 from failing at `ast.parse`, which pytest and hypothesis use, where a finaliser parses as well.

The parser counts its depth in one place for all: what the garbage collector runs within it, such as the log of an
exception that nobody retrieved, whose traceback parses the lines that it shows, ends it with a SystemError "AST
constructor recursion depth mismatch" (CPython issue 106905). So nothing is collected while something is parsed.
"""

import ast
import gc
from functools import wraps
from typing import Any

_parse: Any = ast.parse


@wraps(_parse)
def _undisturbed(*args: Any, **options: Any) -> Any:
    collects = gc.isenabled()
    gc.disable()
    try:
        return _parse(*args, **options)
    finally:
        if collects:
            gc.enable()


def parse_undisturbed() -> None:
    """From now on, in this process."""
    ast.parse = _undisturbed
