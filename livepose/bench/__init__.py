"""How fast: livepose's models and other programs, in one run, on the same pictures."""
