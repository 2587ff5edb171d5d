"""Gold on many machines: the same program on the events of each task, and a second stage for what looks over events."""
