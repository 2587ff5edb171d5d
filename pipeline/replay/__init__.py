"""The harness: run batches, compare with snapshots, explain a difference, load into a standing warehouse, verify it."""
