"""PostHog's feature flags on this machine: REST, definitions cache, evaluation, capture."""
