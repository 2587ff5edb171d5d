{{ config(
    row_key=['exchange_id', 'event_id', 'captured_at'],
    scope=rows_of_pending(),
    by_month=true,
    indexes=[{'columns': ['event_id', 'captured_at']}],
    when_made=["create index on silver.scores (event_id, captured_at) where completed"],
) }}
-- Every score line of every admitted answer, as it was reported then.
select
    exchange_id,
    event_id,
    sport_key,
    place,
    body_sha256,
    moment_at,
    captured_at,
    home_team,
    away_team,
    completed,
    home_score_text,
    away_score_text,
    home_score,
    away_score,
    last_update
from {{ staged('stg_scores') }} as staged
