"""Render on this machine: its API as it really answers, and real processes behind it."""
