"""Run dbt's models and checks for batches, in one transaction."""
