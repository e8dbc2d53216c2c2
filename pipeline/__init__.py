"""The system itself: from the map of topics to the operator's door."""
