"""What Dagster loads: ``dagster dev -m pipeline.orchestration.definitions``."""

from __future__ import annotations

import dagster as dg

from pipeline.orchestration import assets, checks, jobs, resources, sensors

defs = dg.Definitions(
    assets=assets.ALL,
    asset_checks=checks.NIGHTLY,
    jobs=jobs.ALL,
    schedules=jobs.SCHEDULES,
    sensors=sensors.ALL,
    resources=resources.ALL,
    # the steps of a run share one process, and so one parsed dbt project
    executor=dg.in_process_executor,
)
