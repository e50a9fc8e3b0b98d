"""The demonstration: a user's repository, the real workflows and actions, and a whole sandbox."""
