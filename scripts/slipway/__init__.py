"""Slipway: progressive delivery for teams on Render."""

__version__ = "0.1.0"
