"""One file per outsider: each room here speaks one foreign protocol, and knows neither models nor the pipeline."""


class ServiceRefused(Exception):
    """A person's mistake: the text is one line naming the thing, the value and the cure."""


class ServiceUnavailable(Exception):
    """An outsider that does not answer now: the caller waits and asks again."""
