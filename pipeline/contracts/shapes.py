"""What the answers of each endpoint are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

EVENT_LISTS: Final = ("events", "odds", "scores", "historical_events", "historical_odds")
ONE_EVENT: Final = ("event_odds", "event_markets", "historical_event_odds")
PRICED: Final = ("odds", "event_odds", "historical_odds", "historical_event_odds")
ENVELOPES: Final = ("historical_events", "historical_odds", "historical_event_odds")
# What tells the entries of a list apart that is none of events.
ENTRY_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "sports": ("key",),
    "participants": ("id",),
    "bets": ("ledger", "bet_id"),
    "predictions": ("ledger", "prediction_id"),
}
ENDPOINT_NAMES: Final = (*EVENT_LISTS, *ONE_EVENT, *ENTRY_KEYS)


def data_of(endpoint: str, document: Any) -> tuple[Any, str]:
    """What the envelope holds, with its pointer; the answer itself where there is no envelope."""
    return (document["data"], "/data") if endpoint in ENVELOPES else (document, "")


def events_of(endpoint: str, document: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The events of a valid answer with their pointers; none for endpoints without events."""
    data, base = data_of(endpoint, document)
    if endpoint in ONE_EVENT:
        return [data], [base]
    if endpoint in EVENT_LISTS:
        return data, [f"{base}/{index}" for index in range(len(data))]
    return [], []
