"""A small LiveStreamSell: an AI sales bot and a dashboard, run as real processes.

Each process is one instance of one build. What the build does wrong is data (``BEHAVIOUR``), so
that a bad release can be made without a second program.
"""
