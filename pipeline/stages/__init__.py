"""The stages: pure functions of what was received, what is known and what time it is."""
