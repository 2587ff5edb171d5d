"""Evaluates the contracts of the top-level folder ``contracts/``."""
