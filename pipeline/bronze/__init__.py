"""Bronze: load a sealed batch, its verdicts and its place in the ledger."""
