"""A market that is made up: the simulator, which answers as The Odds API does, and the sandbox, which serves it over HTTP."""
