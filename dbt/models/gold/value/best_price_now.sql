{{ config(materialized='view') }}
-- The best price of each outcome that can be acted on now, and whether it beats what the others hold.
with usable as (
    select odds.*, event.home_team, event.away_team, event.start_at,
        {{ seconds_between('odds.quote_at', 'odds.known_until') }} as age_seconds,
        {{ price_net('odds.price_decimal', 'profile') }} as price_net,
        coalesce(profile.price_kind, 'back_fixed') as price_kind
    from {{ ref('current_odds') }} as odds
    join {{ ref('events') }} as event on event.event_id = odds.event_id
    {{ with_profile('odds.bookmaker_key', 'odds.captured_at') }}
    where odds.is_usable
),

-- a book that shows an outcome twice speaks with the first
one_voice as (
    select distinct on (
        usable.event_id, usable.market_key, usable.description, usable.line_point, usable.outcome_set, usable.outcome_name,
        usable.bookmaker_key
    ) usable.*
    from usable
    order by
        usable.event_id, usable.market_key, usable.description, usable.line_point, usable.outcome_set, usable.outcome_name,
        usable.bookmaker_key, usable.line_rank
),

ranked as (
    select one_voice.*, max(one_voice.price_net) over one_outcome as best_price
    from one_voice
    window one_outcome as (
        partition by
            one_voice.event_id, one_voice.market_key, one_voice.description, one_voice.line_point, one_voice.outcome_set,
            one_voice.outcome_name
    )
),

best as (
    select
        ranked.event_id, ranked.sport_key, ranked.home_team, ranked.away_team, ranked.start_at, ranked.phase_now, ranked.market_key,
        ranked.description, ranked.line_point, ranked.outcome_set, ranked.outcome_name, ranked.known_until,
        min(ranked.outcome_side) as outcome_side,
        min(ranked.best_price) as price_decimal,
        (
            array_agg(ranked.price_native order by ranked.bookmaker_key) filter (
                where ranked.price_net = ranked.best_price and ranked.odds_format = 'american' and ranked.price_kind = 'back_fixed'
            )
        )[1] as price_american,
        array_agg(ranked.bookmaker_key order by ranked.bookmaker_key) filter (where ranked.price_net = ranked.best_price) as bookmaker_keys,
        array_agg(named.title order by ranked.bookmaker_key) filter (where ranked.price_net = ranked.best_price) as bookmaker_titles,
        max(ranked.price_net) filter (where ranked.price_net < ranked.best_price) as runner_up_price_decimal,
        cast(count(*) as integer) as book_count,
        max(ranked.age_seconds) filter (where ranked.price_net = ranked.best_price) as quote_age_seconds
    from ranked
    left join {{ ref('bookmakers') }} as named on named.bookmaker_key = ranked.bookmaker_key
    group by
        ranked.event_id, ranked.sport_key, ranked.home_team, ranked.away_team, ranked.start_at, ranked.phase_now, ranked.market_key,
        ranked.description, ranked.line_point, ranked.outcome_set, ranked.outcome_name, ranked.known_until
),

held as (
    select best.*,
        {{ outcome_id_of('best.event_id', 'best') }} as line_id,
        {{ hold_across('best.price_decimal', 'best.outcome_set') }} as best_hold
    from best
    window one_line as (partition by best.event_id, best.market_key, best.description, best.line_point, best.outcome_set)
)

select
    held.line_id,
    held.event_id, held.sport_key, held.home_team, held.away_team, held.start_at, held.phase_now as phase, held.market_key, held.description,
    cast(held.line_point as numeric(8, 3)) as line_point,
    held.outcome_set, held.outcome_name, held.outcome_side,
    cast(held.price_decimal as numeric(14, 8)) as price_decimal,
    cast(held.price_american as numeric(14, 8)) as price_american,
    held.bookmaker_keys, held.bookmaker_titles,
    cast(held.runner_up_price_decimal as numeric(14, 8)) as runner_up_price_decimal,
    held.book_count, held.quote_age_seconds, held.known_until,
    cast(held.best_hold as numeric(16, 10)) as best_hold,
    valued.fair_probability as fair_probability_of_others,
    cast(held.price_decimal * valued.fair_probability - 1 as numeric(16, 10)) as ev_fraction,
    held.price_decimal * valued.fair_probability > 1 as beats_others
from held
-- where it is the best price of all that stand, and not of the young ones alone
left join {{ ref('expected_value') }} as valued
    on valued.event_id = held.event_id and valued.line_id = held.line_id
    and valued.bookmaker_key = held.bookmaker_keys[1] and held.phase_now = 'pre'
