"""Recordings: batches of API answers on disk. Read, write, import; and the record and replay adapters."""
