-- Bets above 2 % of expected value now, the quote under 2 minutes old.
-- "Now" is the newest answer in the warehouse. In a live one, compare captured_at with your own clock as well.
with newest as (
    select max(captured_at) as captured_at from {{ ref('expected_value') }}
)

select
    events.start_at,
    events.home_team,
    events.away_team,
    bets.market_key,
    bets.description,
    bets.outcome_name,
    bets.line_point,
    bets.bookmaker_key,
    bets.price_decimal,
    round(bets.fair_probability, 4) as fair_probability,
    bets.group_count,
    round(bets.ev_fraction, 4) as ev_fraction,
    -- no_push: per stake that is not refunded, half_stake: by prices
    bets.fair_basis,
    {{ seconds_between('bets.quote_at', 'newest.captured_at') }} as quote_age_seconds
from {{ ref('expected_value') }} as bets
join {{ ref('events') }} as events on events.event_id = bets.event_id
cross join newest
where bets.is_usable
    and bets.ev_fraction > 0.02
    and bets.start_at > newest.captured_at
    and bets.quote_at > newest.captured_at - interval '2 minutes'
order by bets.ev_fraction desc, bets.line_id, bets.bookmaker_key
