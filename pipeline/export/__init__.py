"""Gold for others: files of it that prove themselves, and a session that reads it from Python."""
