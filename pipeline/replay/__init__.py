"""The harness: replay a recording, compare with snapshots and rebuilds, explain a difference, verify a warehouse."""
