"""Where pymilvus is loaded: all that is used of it, without what it loads for nobody here."""

from connectors.pandas_later import pandas_later

with pandas_later():
    from pymilvus import DataType, MilvusClient, MilvusException  # type: ignore[import-untyped]

__all__ = ["DataType", "MilvusClient", "MilvusException"]
