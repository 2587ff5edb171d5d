-- Back what beats the other groups' consensus by 2 % an hour before the start: what came of it, by sport and market?
-- Prices and the others' consensus are those of the time, and the hour is by the start that was believed then. One thing is hindsight:
-- the grid hangs on the start that is believed in the end. Games that were believed to start more than 15 minutes before or 30 after
-- it are left out, which nobody could tell then.
-- The close, and the result where there is one, come in last, as the answer.
with offered as (
    select sampled.event_id, sampled.sport_key, sampled.market_key, sampled.line_point, sampled.outcome_set, sampled.outcome_side,
        sampled.outcome_name, sampled.bookmaker_key, sampled.operator_group, sampled.price_net, sampled.fair_probability,
        sampled.overround, 'pre' as phase_as_known,
        {{ implied_probability('sampled.price_native', 'sampled.odds_format') }} / sampled.overround as ratio
    from {{ ref('quotes_sampled') }} as sampled
    where sampled.minutes_to_start = 60
        and sampled.seconds_to_start_as_known between 2700 and 5400
        and sampled.quote_state = 'quoted' and sampled.is_fresh and sampled.quote_age_seconds <= 300
        and sampled.seconds_since_seen <= 1800
),

-- as in consensus: a set that is far from the others' is none, and one voice per group, its lowest margin
counting as (
    {{ votes_that_count('offered', ['event_id', 'market_key', 'line_point', 'outcome_set']) }}
),

held as (
    select mine.event_id, mine.market_key, mine.line_point, mine.outcome_set, mine.outcome_side, mine.operator_group,
        count(*) as group_count,
        {{ median_of('array_agg(others.fair_probability order by others.fair_probability)') }} as median
    from counting as mine
    join counting as others
        on others.event_id = mine.event_id and others.market_key = mine.market_key
        and others.line_point is not distinct from mine.line_point and others.outcome_set = mine.outcome_set
        and others.outcome_side = mine.outcome_side and others.operator_group <> mine.operator_group
    where mine.speaks and others.speaks
    group by mine.event_id, mine.market_key, mine.line_point, mine.outcome_set, mine.outcome_side, mine.operator_group
),

fair as (
    select held.*,
        held.median / sum(held.median) over (
            partition by held.event_id, held.market_key, held.line_point, held.outcome_set, held.operator_group
        ) as probability
    from held
),

-- of each outcome the price that promises most
best as (
    select distinct on (counting.event_id, counting.market_key, counting.line_point, counting.outcome_set, counting.outcome_side)
        counting.*, counting.price_net * fair.probability - 1 as ev
    from counting
    join fair
        on fair.event_id = counting.event_id and fair.market_key = counting.market_key
        and fair.line_point is not distinct from counting.line_point and fair.outcome_set = counting.outcome_set
        and fair.outcome_side = counting.outcome_side and fair.operator_group = counting.operator_group
    where fair.group_count >= {{ parameter('expected_value_min_groups') }}
    order by
        counting.event_id, counting.market_key, counting.line_point, counting.outcome_set, counting.outcome_side,
        counting.price_net * fair.probability desc, counting.bookmaker_key
),

judged as (
    select best.*, best.ev > 0.02 as is_bet,
        best.price_net * closed.fair_median - 1 as clv,
        graded.won_share * best.price_net + graded.refunded_share - 1 as profit
    from best
    left join {{ ref('closing_consensus') }} as closed
        on closed.event_id = best.event_id and closed.market_key = best.market_key and closed.description is null
        and closed.line_point is not distinct from best.line_point and closed.outcome_set = best.outcome_set
        and closed.outcome_name = best.outcome_name and closed.is_closing
    left join {{ ref('outcome_grades') }} as graded
        on graded.event_id = best.event_id and graded.market_key = best.market_key and graded.description is null
        and graded.line_point is not distinct from best.line_point and graded.outcome_set = best.outcome_set
        and graded.outcome_name = best.outcome_name and graded.grade <> 'unresolved'
)

select sport_key, market_key,
    count(distinct event_id) as games,
    count(*) as outcomes_judged,
    count(*) filter (where ev > 0) as above_0,
    count(*) filter (where ev > 0.01) as above_1_percent,
    round(max(ev), 4) as best_promised,
    count(*) filter (where is_bet) as bets,
    round(avg(ev) filter (where is_bet), 4) as mean_promised,
    count(clv) filter (where is_bet) as bets_with_a_close,
    round(avg(clv) filter (where is_bet), 4) as mean_clv,
    round(sqrt(var_samp(clv) filter (where is_bet) / nullif(count(clv) filter (where is_bet), 0)), 4) as clv_standard_error,
    count(profit) filter (where is_bet) as bets_with_a_result,
    round(avg(profit) filter (where is_bet), 4) as mean_profit
from judged
group by grouping sets ((sport_key, market_key), ())
order by sport_key nulls last, market_key
