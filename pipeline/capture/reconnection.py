"""How long to leave a lost camera alone: a fleet that comes back after a power cut must not be called all at once."""

FIRST = 0.5  # seconds
LONGEST = 30.0


def pause(failures: int, chance: float) -> float:
    """Seconds to wait after `failures` (from 1) connections in a row that brought no picture; `chance` is 0 <= x < 1.

    Doubles up to 30 s, and takes a random half of that off ("equal jitter", M. Brooker, AWS Architecture Blog, 2015).
    """
    longest = min(LONGEST, FIRST * 2.0 ** min(failures - 1, 16))
    return longest / 2 * (1 + chance)
