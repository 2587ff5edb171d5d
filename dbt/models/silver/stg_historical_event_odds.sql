{{ config(materialized='ephemeral') }}
{{ stage_odds('historical_event_odds', single=true) }}
