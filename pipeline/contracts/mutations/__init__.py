"""Broken answers made from good ones, and the score of the rules that must notice them."""
