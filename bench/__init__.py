"""Measurements of the edge on this machine: ``make bench`` and ``make cohort``."""
