{{ config(materialized='ephemeral') }}
{{ stage_odds('event_odds', single=true) }}
