-- The biggest moves of the last day: point first, then fair probability.
select
    event.home_team,
    event.away_team,
    moves.bookmaker_key,
    moves.market_key,
    moves.outcome_name,
    moves.changed_at,
    moves.old_point,
    moves.new_point,
    moves.delta_point,
    round(moves.delta_probability, 4) as delta_probability
from {{ ref('line_movement') }} as moves
join {{ ref('events') }} as event on event.event_id = moves.event_id
where moves.phase = 'pre'
    and moves.changed_at > (select max(captured_at) from {{ ref('coverage') }}) - interval '1 day'
order by
    abs(moves.delta_point) desc nulls last, abs(moves.delta_probability) desc nulls last, moves.changed_at, moves.series_id,
    moves.line_rank
limit 50
