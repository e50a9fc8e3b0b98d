"""As much of GitHub on this machine as a release reports to: deployments and pull requests."""
