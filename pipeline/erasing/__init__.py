"""What it takes to prove that something is gone: how long it may take, and what is still found where."""
