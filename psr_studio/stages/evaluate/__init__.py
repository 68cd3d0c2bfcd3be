"""Evaluate: students are trained on the set and on its controls."""
