"""sports-market: record, replay and prove sports odds, from the answers of The Odds API to analytics-ready tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.export.reading import OpenWarehouse

__version__ = "0.2.0.dev0"


def open_warehouse(url: str | None = None) -> OpenWarehouse:
    """Open a warehouse for reading: ``open_warehouse().table("best_price").arrow()``.

    Args:
        url: of its owner; by default what the environment says, else the embedded server. See
            :func:`pipeline.export.reading.open_warehouse`.
    """
    # `import pipeline` alone costs nothing
    from pipeline.export import reading

    return reading.open_warehouse(url)
