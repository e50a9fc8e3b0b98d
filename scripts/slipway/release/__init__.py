"""The decisions of a release. They call ports, take a clock and return an outcome."""
