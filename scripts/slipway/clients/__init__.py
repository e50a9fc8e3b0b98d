"""Clients: one file per outside system. They do I/O and hold no decision."""
