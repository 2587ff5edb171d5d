{{ config(materialized='ephemeral') }}
{{ stage_odds('historical_odds') }}
