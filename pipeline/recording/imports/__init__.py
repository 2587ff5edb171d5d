"""The parts of an import: what files are named, what they hold, what they asked for, and how they become batches."""
