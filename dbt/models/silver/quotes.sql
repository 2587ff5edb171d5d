{{ config(
    row_key=['quote_id', 'captured_at'],
    scope=rows_of_pending(),
    by_month=true,
    indexes=[{'columns': ['exchange_id', 'event_id']}, {'columns': ['event_id', 'series_id', 'captured_at']}],
) }}
-- Every outcome of every admitted answer, exactly once, typed; what one answer alone can tell about it, and nothing else.
with odds_rows as (
    select * from {{ staged('stg_odds') }} as odds
    union all
    select * from {{ staged('stg_event_odds') }} as event_odds
    union all
    select * from {{ staged('stg_historical_odds') }} as historical_odds
    union all
    select * from {{ staged('stg_historical_event_odds') }} as historical_event_odds
),

outcomes as materialized (
    select
        odds_rows.*,
        {{ outcome_side_of('odds_rows') }} as outcome_side
    from odds_rows
    where outcome_name is not null
),

superseded as materialized ({{ superseded_entries('outcomes') }}),

markets as materialized (
    select shown.market_key, rule.family, rule.period, rule.is_point_in_key, rule.price_side
    from (select distinct market_key from outcomes) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
),

namesakes as materialized ({{ lines_of_namesakes('outcomes', 'markets', 'superseded') }}),

sports as materialized (
    select shown.sport_key, rule.h2h_outcomes, rule.total_min, rule.total_max
    from (select distinct sport_key from outcomes) as shown
    cross join lateral {{ sport_rule('shown.sport_key', ['h2h_outcomes', 'total_min', 'total_max']) }} as rule
),

-- few answers have any of either: where there is none, no outcome is compared
flagged as (
    select outcomes.*,
        exists (select 1 from superseded) and (exchange_id, event_id, book_ordinal, market_ordinal)
            in (select exchange_id, event_id, book_ordinal, market_ordinal from superseded) as is_superseded,
        exists (select 1 from namesakes) and (exchange_id, event_id, bookmaker_key, market_key, {{ line_of_person() }})
            in (select exchange_id, event_id, bookmaker_key, market_key, {{ line_of_person() }} from namesakes) as has_namesakes
    from outcomes
),

priced as (
    select
        outcomes.*,
        markets.family, markets.period, markets.is_point_in_key, markets.price_side, sports.total_min, sports.total_max,
        {{ outcomes_expected('markets.family', 'outcomes.market_key', 'sports.h2h_outcomes') }} as outcomes_expected,
        {{ price_decimal('outcomes.price_native', 'outcomes.odds_format') }} as price_decimal,
        {{ implied_probability('outcomes.price_native', 'outcomes.odds_format') }} as implied_probability,
        {{ line_point_of('markets.family', 'outcomes') }} as line_point,
        -- a book may show the very same outcome twice; the pairs are taken in the order in which they stand
        row_number() over (
            partition by
                outcomes.exchange_id, outcomes.event_id, outcomes.bookmaker_key, outcomes.market_key,
                outcomes.description, outcomes.outcome_name, outcomes.point
            order by outcomes.is_superseded, outcomes.book_ordinal, outcomes.market_ordinal, outcomes.outcome_ordinal
        ) as duplicate_no
    from flagged as outcomes
    join markets on markets.market_key = outcomes.market_key
    join sports on sports.sport_key = outcomes.sport_key
),

in_sets as (
    select
        priced.*,
        count(*) over one_set as set_size,
        count(*) filter (where outcome_side = 'home') over one_set as homes,
        count(*) filter (where outcome_side = 'away') over one_set as aways,
        count(*) filter (where outcome_side = 'draw') over one_set as draws,
        count(*) filter (where outcome_side = 'over') over one_set as overs,
        count(*) filter (where outcome_side = 'under') over one_set as unders,
        count(*) filter (where outcome_side = 'yes') over one_set as yeses,
        count(*) filter (where outcome_side = 'no') over one_set as noes,
        count(*) filter (where price_decimal is null or price_decimal <= 1) over one_set as unpriced,
        min(price_decimal) over one_set as lowest_price,
        cast(sum(implied_probability) over one_set as numeric(18, 10)) as overround
    from priced
    window one_set as (partition by exchange_id, event_id, bookmaker_key, market_key, description, line_point, duplicate_no, is_superseded)
),

judged as (
    select
        in_sets.*,
        {{ outcome_set() }} as outcome_set
    from in_sets
),

completed as (
    select
        judged.*,
        {{ set_is_complete() }} as is_complete
    from judged
),

ranked as (
    select
        completed.*,
        {{ set_problem() }} as problem,
        -- how far the set's first side is from even, as the main line is the most even one
        first_value(case when is_complete then implied_probability / overround end) over (
            partition by exchange_id, event_id, bookmaker_key, market_key, description, line_point, duplicate_no, is_superseded
            order by case when outcome_side in ('home', 'over', 'yes') then 0 else 1 end, outcome_name
        ) as first_side_fair
    from completed
),

keyed as (
    select
        ranked.*,
        case when is_point_in_key then point end as key_point,
        row_number() over (
            partition by
                exchange_id, event_id, bookmaker_key, market_key, description, outcome_name,
                case when is_point_in_key then point end
            order by
                is_superseded, is_complete desc, abs(first_side_fair - 0.5), overround, abs(line_point), line_point, duplicate_no,
                book_ordinal, market_ordinal, outcome_ordinal
        ) as line_rank
    from ranked
)

select
    cast({{ dbt_utils.generate_surrogate_key([
        'exchange_id', 'event_id', 'bookmaker_key', 'market_key', key_part('description'), key_part('outcome_name'), 'point',
        'duplicate_no'
    ]) }} as uuid) as quote_id,
    cast({{ dbt_utils.generate_surrogate_key([
        'event_id', 'bookmaker_key', 'market_key', key_part('description'), key_part('outcome_name'), 'key_point'
    ]) }} as uuid) as series_id,
    exchange_id,
    event_id,
    sport_key,
    moment_at,
    captured_at,
    place,
    bookmaker_key,
    market_key,
    description,
    outcome_name,
    outcome_side,
    point,
    cast(line_point as numeric(8, 3)) as line_point,
    cast(duplicate_no as integer) as duplicate_no,
    cast(line_rank as integer) as line_rank,
    price_native,
    odds_format,
    price_decimal,
    implied_probability,
    price_side,
    last_update,
    least(captured_at, last_update) as quote_at,
    outcome_set,
    is_complete,
    overround,
    problem,
    sid,
    link,
    bet_limit,
    multiplier
from keyed
