-- One book's total of each game, through the week: every point and price it hung before the start.
select
    event.start_at,
    event.home_team,
    event.away_team,
    history.valid_from,
    history.valid_to,
    history.point,
    history.price_decimal
from {{ ref('price_history') }} as history
join {{ ref('events') }} as event on event.event_id = history.event_id
where history.bookmaker_key = 'fanduel'
    and history.market_key = 'totals'
    and history.outcome_side = 'over'
    and history.phase_as_known = 'pre'
order by event.start_at, event.event_id, history.valid_from, history.line_rank
