-- The odds screen: a row per outcome of each game, with the prices that are usable as of the newest answer about it, side by side.
select
    event.start_at,
    event.home_team,
    event.away_team,
    odds.market_key,
    odds.outcome_name,
    odds.point,
    string_agg(odds.bookmaker_key || ' ' || round(odds.price_decimal, 2), ', ' order by odds.price_decimal desc, odds.bookmaker_key)
        as prices
from {{ ref('current_odds') }} as odds
join {{ ref('events') }} as event on event.event_id = odds.event_id
where odds.is_usable and odds.market_key in ('h2h', 'spreads', 'totals')
group by event.start_at, event.event_id, event.home_team, event.away_team, odds.market_key, odds.outcome_name, odds.point
order by event.start_at, event.event_id, odds.market_key, odds.outcome_name, odds.point
