"""The shell of stages whose state is a replay and whose outputs are the last word."""

from pipeline.keeper.keeper import Keeper

__all__ = ["Keeper"]
