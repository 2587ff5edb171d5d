-- Opening to closing of each game: each book's first and last pre-match home price, and how far its probability went.
select
    event.start_at,
    event.home_team,
    event.away_team,
    closings.bookmaker_key,
    openings.opened_at,
    openings.is_left_censored,
    openings.price_decimal as opening_price_decimal,
    closings.price_decimal as closing_price_decimal,
    round(closings.implied_probability - openings.implied_probability, 4) as moved,
    closings.closing_age_seconds,
    closings.close_status
from {{ ref('closings') }} as closings
join {{ ref('openings') }} as openings
    on openings.event_id = closings.event_id
    and openings.series_id = closings.series_id
join {{ ref('events') }} as event on event.event_id = closings.event_id
where closings.market_key = 'h2h' and closings.outcome_side = 'home' and closings.close_status = 'ok'
order by event.start_at, event.event_id, closings.bookmaker_key
