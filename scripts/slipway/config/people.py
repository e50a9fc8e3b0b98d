"""Who is told when a release does not end well, and who may take one back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from slipway.config.base import Model

PageOn = Literal["rolled-back", "frozen", "held", "aborted"]


class Pages(Model):
    """When somebody is paged, by the input `page-url`."""

    on: tuple[PageOn, ...] = ("rolled-back", "frozen", "held", "aborted")
    """Results of a release, or of going back, in production."""


class Rollback(Model):
    """Who may press Promote Previous Build."""

    approvers: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,39}$")], ...] = ()
    """Names at GitHub; none: whoever may run the workflow. For plans without required reviewers of
    an environment."""
