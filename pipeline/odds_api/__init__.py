"""The Odds API v4: endpoints as a table, requests, client, errors, credits, redaction."""
