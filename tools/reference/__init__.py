"""Writes the reference in docs/ from what is the case: ``make docs``.

Tables of inputs and outputs come from the action.yml files and the reusable workflows, keys and
defaults of slipway.yml from its models. What a key means is written by hand in
docs/slipway-yml.md and kept.
"""
