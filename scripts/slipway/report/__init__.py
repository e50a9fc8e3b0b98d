"""One model of a release, rendered for people."""
