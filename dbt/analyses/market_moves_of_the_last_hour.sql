-- The biggest moves of the last hour before the newest answer: by how many operator groups moved a market one way, and how far.
select
    event.home_team,
    event.away_team,
    moves.market_key,
    moves.direction,
    count(distinct moves.operator_group) as groups_moved,
    max(cardinality(moves.quoting_groups)) as groups_quoting,
    max(abs(moves.delta_point)) as longest_in_points,
    round(max(abs(moves.delta_probability)), 4) as longest_in_probability,
    min(moves.changed_at) as first_changed_at,
    max(moves.changed_at) as last_changed_at
from {{ ref('moves') }} as moves
join {{ ref('events') }} as event on event.event_id = moves.event_id
where moves.changed_at > (select max(captured_at) from {{ ref('coverage') }}) - interval '1 hour'
group by
    moves.event_id, event.home_team, event.away_team, moves.market_key, moves.description, moves.outcome_set, moves.direction
order by
    groups_moved desc, longest_in_points desc nulls last, longest_in_probability desc nulls last, moves.event_id, moves.market_key,
    moves.description, moves.outcome_set, moves.direction
limit 50
