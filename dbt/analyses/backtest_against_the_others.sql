-- Back what beats the other groups' consensus by 2 % an hour before the start: what came of it, by sport and market?
-- Nothing of it was known later than the bet: quotes are those of the time, and the hour is by the start that was believed then.
-- Only the last two columns look ahead, as they are the answer: the close, and the result where there is one.
with offered as (
    select sampled.event_id, sampled.sport_key, sampled.market_key, sampled.line_point, sampled.outcome_set, sampled.outcome_side,
        sampled.outcome_name, sampled.bookmaker_key, sampled.operator_group, sampled.price_net, sampled.fair_probability,
        sampled.overround
    from {{ ref('quotes_sampled') }} as sampled
    where sampled.minutes_to_start = 60
        and sampled.seconds_to_start_as_known between 2700 and 5400
        and sampled.quote_state = 'quoted' and sampled.is_fresh and sampled.quote_age_seconds <= 300
        and sampled.seconds_since_seen <= 1800
),

-- one voice per group: its lowest margin
voices as (
    select distinct on (
        offered.event_id, offered.market_key, offered.line_point, offered.outcome_set, offered.outcome_side, offered.operator_group
    ) offered.*
    from offered
    order by
        offered.event_id, offered.market_key, offered.line_point, offered.outcome_set, offered.outcome_side, offered.operator_group,
        offered.overround, offered.bookmaker_key
),

held as (
    select mine.event_id, mine.market_key, mine.line_point, mine.outcome_set, mine.outcome_side, mine.operator_group,
        count(*) as group_count,
        {{ median_of('array_agg(others.fair_probability order by others.fair_probability)') }} as median
    from voices as mine
    join voices as others
        on others.event_id = mine.event_id and others.market_key = mine.market_key
        and others.line_point is not distinct from mine.line_point and others.outcome_set = mine.outcome_set
        and others.outcome_side = mine.outcome_side and others.operator_group <> mine.operator_group
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
bets as (
    select distinct on (offered.event_id, offered.market_key, offered.line_point, offered.outcome_set, offered.outcome_side)
        offered.*, offered.price_net * fair.probability - 1 as ev
    from offered
    join fair
        on fair.event_id = offered.event_id and fair.market_key = offered.market_key
        and fair.line_point is not distinct from offered.line_point and fair.outcome_set = offered.outcome_set
        and fair.outcome_side = offered.outcome_side and fair.operator_group = offered.operator_group
    where fair.group_count >= {{ parameter('expected_value_min_groups') }} and offered.price_net * fair.probability - 1 > 0.02
    order by
        offered.event_id, offered.market_key, offered.line_point, offered.outcome_set, offered.outcome_side,
        offered.price_net * fair.probability desc, offered.bookmaker_key
),

judged as (
    select bets.*,
        bets.price_net * closed.fair_median - 1 as clv,
        graded.won_share * bets.price_net + graded.refunded_share - 1 as profit
    from bets
    left join {{ ref('closing_consensus') }} as closed
        on closed.event_id = bets.event_id and closed.market_key = bets.market_key and closed.description is null
        and closed.line_point is not distinct from bets.line_point and closed.outcome_set = bets.outcome_set
        and closed.outcome_name = bets.outcome_name and closed.is_closing
    left join {{ ref('outcome_grades') }} as graded
        on graded.event_id = bets.event_id and graded.market_key = bets.market_key and graded.description is null
        and graded.line_point is not distinct from bets.line_point and graded.outcome_set = bets.outcome_set
        and graded.outcome_name = bets.outcome_name and graded.grade <> 'unresolved'
)

select sport_key, market_key,
    count(*) as bets,
    count(distinct event_id) as games,
    round(avg(ev), 4) as mean_promised,
    count(clv) as bets_with_a_close,
    round(avg(clv), 4) as mean_clv,
    round(sqrt(var_samp(clv) / nullif(count(clv), 0)), 4) as clv_standard_error,
    count(profit) as bets_with_a_result,
    round(avg(profit), 4) as mean_profit
from judged
group by grouping sets ((sport_key, market_key), ())
order by sport_key nulls last, market_key
