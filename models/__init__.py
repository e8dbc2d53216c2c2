"""Face models, arrays in and arrays out: what runs on an image, and how its weights come to this machine."""


class ModelError(Exception):
    """A person's or an installation's mistake, told in one line that names the thing, the value and the cure."""
