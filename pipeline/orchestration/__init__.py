"""Dagster: what is there, what it hangs on, what is checked, and when it runs. Declarations; the work is done below."""

import warnings

# Parts of Dagster in use that are not final yet: partitions of checks, references to code. The pins hold them still.
warnings.filterwarnings("ignore", message=r".* is currently in (beta|preview)")
