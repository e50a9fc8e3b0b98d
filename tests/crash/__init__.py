"""Every crash point: a release is stopped at each call it makes, and somebody comes after."""
