"""Times as a person says them; a promise is rounded up."""

from math import ceil


def told(seconds: float | None) -> str:
    """A time as a person says it, rounded up to a second, from an hour on to a minute: "5 min 32 s"."""
    if seconds is None:
        return "no bound"
    grain = 1 if seconds < 3_600 else 60
    left, words = grain * ceil(seconds / grain), []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if left >= size:
            words.append(f"{left // size} {unit}")
            left %= size
    return " ".join(words) or "0 s"


def told_ms(milliseconds: float) -> str:
    """The same of Kafka's milliseconds; below a second, in tenths."""
    return f"{milliseconds / 1000:.1g} s" if milliseconds < 1000 else told(milliseconds / 1000)
