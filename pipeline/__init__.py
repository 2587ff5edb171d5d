"""sports-market: record, replay and prove sports odds, from the answers of The Odds API to analytics-ready tables."""

__version__ = "0.2.0.dev0"
