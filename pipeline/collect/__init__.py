"""Plan → requests → exchanges: what to ask, and asking it into a recording."""
