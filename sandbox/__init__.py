"""Render, PostHog and GitHub on this machine, with real processes behind them."""
