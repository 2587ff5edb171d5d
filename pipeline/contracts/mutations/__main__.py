"""``python -m pipeline.contracts.mutations``: print the mutation score; ends with 1 below 100 %."""

from __future__ import annotations

import sys

from pipeline.contracts.mutations.answers import score

if __name__ == "__main__":
    result = score()
    print(result.text())
    sys.exit(0 if result.ok else 1)
