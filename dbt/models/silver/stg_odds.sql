{{ config(materialized='ephemeral') }}
{{ stage_odds('odds') }}
