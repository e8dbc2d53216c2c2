"""The audit of erasure: what is kept is looked at from outside, byte by byte, and every claim gets a verdict."""
