{{ config(materialized='view') }}
-- Arbitrages before the start with nothing against them, and what open rows do not store, as it moves with every answer.
select
    stood.arbitrage_id, stood.event_id, stood.sport_key, stood.market_key, stood.description, stood.line_point,
    stood.outcome_set, stood.outcome_names, stood.outcome_sides, stood.valid_from, stood.valid_to,
    coalesce(stood.last_seen_at, seen.last_seen_at) as last_seen_at,
    coalesce(stood.captures, seen.captures) as captures,
    {{ seconds_between('stood.valid_from', 'coalesce(stood.last_seen_at, seen.last_seen_at)') }} as seen_for_seconds,
    stood.margin_at_open, stood.margin_best, stood.best_at, stood.max_leg_age_seconds, stood.leg_age_spread_seconds,
    stood.books_at_open, stood.prices_at_open, stood.stake_shares_at_open, stood.ages_at_open, stood.books_at_best,
    stood.prices_at_best, stood.stake_shares_at_best, stood.ages_at_best
from {{ ref('arbitrages') }} as stood
left join lateral {{ seen_standing('stood', 'stood.valid_to is null') }} as seen on true
where stood.quality = 'clean'
