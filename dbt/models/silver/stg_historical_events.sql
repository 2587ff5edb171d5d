{{ config(materialized='ephemeral') }}
{{ stage_events('historical_events') }}
