{{ config(materialized='ephemeral') }}
{{ stage_events('events') }}
