-- Opening → closing of each game: where each market opened, and its main line at the close, on the side of home, Over or Yes.
select
    events.start_at,
    events.home_team,
    events.away_team,
    closing.market_key,
    closing.description,
    closing.outcome_name,
    opening.opening_basis,
    opening.first_seen_at,
    -- what was there at the first look may have opened earlier
    opening.is_left_censored,
    opening.line_point as opening_line_point,
    closing.line_point as closing_line_point,
    closing.line_point - opening.line_point as line_moved,
    round(opening.probability, 4) as opening_probability,
    round(closing.fair_median, 4) as closing_probability,
    closing.group_count as closing_groups,
    closing.close_status
from {{ ref('closing_consensus') }} as closing
join {{ ref('events') }} as events on events.event_id = closing.event_id
cross join lateral {{ market_rule('closing.market_key') }} as rule
left join {{ ref('market_openings') }} as opening
    on opening.event_id = closing.event_id
    and opening.market_key = closing.market_key
    and opening.description is not distinct from closing.description
    and opening.outcome_name = closing.outcome_name
    -- where each point is a market of its own, as with players, it opened by itself
    and (not rule.is_point_in_key or opening.line_point is not distinct from closing.line_point)
where closing.is_main_line
    and closing.outcome_side in ('home', 'over', 'yes')
    and closing.is_closing
order by events.start_at, closing.event_id, closing.market_key, closing.description
