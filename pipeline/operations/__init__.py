"""What the API and the CLI can ask for: as a library, without a terminal and without HTTP."""


class Refused(Exception):
    """Somebody asked for what cannot be: one line with the thing, the value and the cure; `code` is the Face API's."""

    def __init__(self, message: str, code: str = "BadArgument") -> None:
        super().__init__(message)
        self.code = code


class Unanswered(Exception):
    """The outcome of a command is not known yet: it may still be carried out, and the same request id finds it."""
