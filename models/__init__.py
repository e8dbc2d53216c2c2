"""Face models, arrays in and arrays out: what runs on an image, and how its weights come to this machine."""

import os

# onnxruntime's official builds report to Microsoft unless this stands there before they are loaded (its Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class ModelError(Exception):
    """A person's or an installation's mistake, told in one line that names the thing, the value and the cure."""
