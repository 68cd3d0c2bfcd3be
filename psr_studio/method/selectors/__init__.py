"""The selectors by name."""
