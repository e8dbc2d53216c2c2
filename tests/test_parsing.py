"""What is collected does not disturb what is parsed."""

import ast

SOURCE = "\n".join(f"def f{number}(a, b=1):\n    return [a + b * {number} for x in a if x]" for number in range(1_000))


class Garbage:
    """Is found by the garbage collector alone, and parses when it goes."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        ast.parse("x + 1")


def test_a_finaliser_may_parse_while_something_is_parsed() -> None:
    for _ in range(20):
        Garbage()
        assert len(ast.parse(SOURCE).body) == 1_000
