"""What runs a standing warehouse: collect and load, load a recording, decide on what is held back, archive old months."""
