"""Judges: pure statistics on counts."""
