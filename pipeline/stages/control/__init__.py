"""The one writer of the tables: what it knows, what it accepts, and what follows from it."""

from pipeline.stages.control.stage import REMEMBERED, Control
from pipeline.stages.control.tables import Tables

__all__ = ["REMEMBERED", "Control", "Tables"]
