"""The map draws itself, so that no picture of the system can grow old: as text, as Mermaid, as SVG."""

from pipeline.drawing.arrows import BOOKKEEPING, Arrow, arrows
from pipeline.drawing.picture import svg
from pipeline.drawing.words import mermaid, text

__all__ = ["BOOKKEEPING", "Arrow", "arrows", "mermaid", "svg", "text"]
