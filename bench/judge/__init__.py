"""The judge beside other rules, on the same simulated releases: how often each takes a good build
back, how often and how soon a bad one."""
