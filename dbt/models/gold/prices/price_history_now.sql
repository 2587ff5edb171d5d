{{ config(materialized='view') }}
-- price_history with what an open row does not store, as it moves with every answer.
select
    history.series_id, history.line_rank, history.event_id, history.sport_key, history.bookmaker_key,
    history.market_key, history.description, history.outcome_name, history.outcome_side, history.price_side,
    history.point, history.line_point, history.price_native, history.odds_format, history.price_decimal,
    history.implied_probability, history.phase_as_known, history.valid_from,
    coalesce(history.last_seen_at, seen.last_seen_at) as last_seen_at,
    history.valid_to, history.end_reason, history.prev_seen_at,
    coalesce(history.observations, seen.observations) as observations,
    {{ seconds_between('history.valid_from', 'coalesce(history.last_seen_at, seen.last_seen_at)') }} as seen_for_seconds,
    coalesce(history.valid_to, newest.captured_at) as known_until,
    {{ seconds_between('coalesce(history.last_seen_at, seen.last_seen_at)', 'coalesce(history.valid_to, newest.captured_at)') }}
        as seconds_since_seen
from {{ ref('price_history') }} as history
left join lateral (
    select max(moments.last_at) as last_seen_at, cast(count(distinct moments.last_at) as integer) as observations
    from (
        select max(q.captured_at) as last_at from {{ ref('quotes') }} as q
        where history.valid_to is null and {{ same_in('q', 'history', ['event_id', 'series_id', 'line_rank']) }}
            and q.captured_at >= history.valid_from
        group by q.moment_at
    ) as moments
) as seen on true
-- The end of what is known of the event's odds: two short walks down an index instead of one long one, for each key that it belonged to;
-- of the answers that do not show it those count which asked for the key of their time.
left join lateral (
    select max(asked.captured_at) as captured_at
    from {{ ref('event_sport_keys') }} as known
    cross join (values (''), (history.event_id)) as scopes (event_id)
    cross join lateral (
        select c.captured_at from {{ ref('coverage') }} as c
        where history.valid_to is null and c.sport_key = known.sport_key and c.captured_at >= known.valid_from
            and (known.valid_to is null or c.captured_at < known.valid_to) and c.event_id = scopes.event_id
            and c.markets <> '{}' and {{ tells_of_event('c', 'history.event_id') }}
        order by c.captured_at desc limit 1
    ) as asked
    where known.event_id = history.event_id
) as newest on true
