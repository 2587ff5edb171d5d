{%- set quote_rules = [
    ('rows are of admitted answers', 'm.admitted'),
    ('quote_id is the hash of the natural key', 'm.quote_id = cast(' ~ dbt_utils.generate_surrogate_key([
        'm.exchange_id', 'm.event_id', 'm.bookmaker_key', 'm.market_key', key_part('m.description'), key_part('m.outcome_name'),
        'm.point', 'm.duplicate_no'
    ]) ~ ' as uuid)'),
    ('series_id is the hash of the series key', 'm.series_id = cast(' ~ dbt_utils.generate_surrogate_key([
        'm.event_id', 'm.bookmaker_key', 'm.market_key', key_part('m.description'), key_part('m.outcome_name'),
        'case when m.is_point_in_key then m.point end'
    ]) ~ ' as uuid)'),
    ('price_decimal follows from the native price',
        'm.price_decimal is not distinct from ' ~ price_decimal('m.price_native', 'm.odds_format')),
    ('price_side is that of the market', 'm.price_side = m.price_side_of_market'),
    ('overround is the sum over the set', 'm.overround is not distinct from m.sum_of_set'),
    ('line_point is null for h2h, the home handicap for spreads, else the point', "m.line_point is not distinct from case
        when m.family in ('h2h', 'h2h_lay') then null
        when m.family <> 'spreads' or m.outcome_side = 'home' then m.point
        when m.outcome_side = 'away' then -m.point
    end"),
    ('a complete set is priced and has as many outcomes as its kind', "not m.is_complete or m.set_is_priced
        and m.set_size = case m.outcome_set when 'three_way' then 3 when 'two_way' then 2 when 'yes_no' then 2 end"),
    ('a set without a problem is within the limits of overround', "m.problem is not null or m.outcome_set = 'field' or m.price_side = 'lay'
        or m.overround between " ~ parameter('overround_min') ~ ' and ' ~ parameter('overround_max')),
    ('line_rank counts from 1 without a gap', 'm.highest_rank = m.ranks and m.line_rank = coalesce(m.rank_before, 0) + 1'),
] -%}
{%- set cell_rules = [
    ('its event is in event_sightings', 'u.is_sighted'),
    ('its book and market are in event_sightings', 'u.is_shown or not u.is_sighted'),
    ('sport, place and times are those of its answer', 'u.agrees or not u.is_sighted'),
] -%}
-- silver.quotes, the rows of the pending answers: one row per broken rule and quote.
-- What holds of each row by itself is in contracts/warehouse, and evaluated beside this.
with quotes as materialized (
    select shown.*, pending.admitted
    from {{ source('ops', 'pending') }} as pending
    cross join lateral (
        select q.* from {{ ref('quotes') }} as q
        where q.exchange_id = pending.exchange_id and q.captured_at = pending.captured_at offset 0
    ) as shown
),

markets as materialized (
    select shown.market_key, rule.family, rule.is_point_in_key, rule.price_side
    from (select distinct market_key from quotes) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
),

measured as materialized (
    select
        quotes.*,
        markets.family,
        markets.is_point_in_key,
        markets.price_side as price_side_of_market,
        count(*) over one_set as set_size,
        cast(sum(quotes.implied_probability) over one_set as numeric(18, 10)) as sum_of_set,
        coalesce(min(quotes.price_decimal) over one_set > 1, false) as set_is_priced,
        count(*) over (partition by quotes.exchange_id, quotes.series_id) as ranks,
        max(quotes.line_rank) over (partition by quotes.exchange_id, quotes.series_id) as highest_rank,
        lag(quotes.line_rank) over (partition by quotes.exchange_id, quotes.series_id order by quotes.line_rank) as rank_before
    from quotes
    join markets on markets.market_key = quotes.market_key
    window one_set as (
        partition by
            quotes.exchange_id, quotes.event_id, quotes.bookmaker_key, quotes.market_key, quotes.description, quotes.line_point,
            -- what an entry says that does not speak belongs to none of the sets of the one that does
            quotes.duplicate_no, quotes.problem is not distinct from 'superseded'
    )
),

sightings as materialized (
    select shown.*
    from {{ source('ops', 'pending') }} as pending
    cross join lateral (
        select s.exchange_id, s.event_id, s.sport_key, s.place, s.moment_at, s.captured_at, s.book_markets
        from {{ ref('event_sightings') }} as s
        where s.exchange_id = pending.exchange_id and s.captured_at = pending.captured_at
        offset 0
    ) as shown
),

cells as (
    select distinct exchange_id, event_id, sport_key, place, moment_at, captured_at, bookmaker_key, market_key from quotes
),

unsighted as (
    select
        cells.*,
        sightings.exchange_id is not null as is_sighted,
        coalesce(cells.bookmaker_key || '|' || cells.market_key = any (sightings.book_markets), false) as is_shown,
        coalesce(
            (cells.sport_key, cells.place, cells.moment_at, cells.captured_at)
            = (sightings.sport_key, sightings.place, sightings.moment_at, sightings.captured_at),
            false
        ) as agrees
    from cells
    left join sightings on sightings.exchange_id = cells.exchange_id and sightings.event_id = cells.event_id
)

select
    'quotes: ' || rules.rule as rule,
    concat_ws(' ', m.exchange_id, m.event_id, m.bookmaker_key, m.market_key, m.description, m.outcome_name, m.point) as key,
    cast(to_jsonb(m) as text) as detail
from measured as m
cross join lateral {{ broken_of(quote_rules) }} as rules (rule)
where {{ breaks_any(quote_rules) }}

union all

select
    'quotes: ' || rules.rule,
    concat_ws(' ', u.exchange_id, u.event_id, u.bookmaker_key, u.market_key),
    cast(to_jsonb(u) as text)
from unsighted as u
cross join lateral {{ broken_of(cell_rules) }} as rules (rule)
where {{ breaks_any(cell_rules) }}
