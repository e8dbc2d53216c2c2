"""The HTTP door: the Face API over the operations."""
