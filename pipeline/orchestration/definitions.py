"""What Dagster loads: ``dagster dev -m pipeline.orchestration.definitions``."""

from __future__ import annotations

import dagster as dg

from pipeline.orchestration import asset_checks, assets, dagster_resources, jobs, sensors
from pipeline.orchestration.published_elsewhere import published_elsewhere

defs = dg.Definitions(
    assets=assets.ALL,
    asset_checks=asset_checks.NIGHTLY,
    jobs=jobs.ALL,
    schedules=jobs.SCHEDULES,
    sensors=[*sensors.ALL, published_elsewhere],
    resources=dagster_resources.ALL,
    # the steps of a run share one process, and so one parsed dbt project
    executor=dg.in_process_executor,
)
