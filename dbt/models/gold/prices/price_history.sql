{{ config(
    row_key=['series_id', 'line_rank', 'valid_from'],
    scope=rows_of_tails('gold.price_history', by='series'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}, {'columns': ['sport_key', 'valid_to']}],
    pre_hook="{{ find_touched_series() }}",
    post_hook="{{ find_touched_lines('gold.price_history') }}",
    when_made=["create index price_history_open on gold.price_history (sport_key, market_key, event_id) where valid_to is null"],
) }}
{#- what a quote says, as it is told of a stretch -#}
{%- set quoted = [
    'bookmaker_key', 'market_key', 'description', 'outcome_name', 'outcome_side', 'price_side', 'point', 'line_point', 'price_native', 'odds_format',
    'price_decimal', 'implied_probability',
] -%}
-- Each quoted line over time: one row per series and stretch of unchanged price and point.
with touched as materialized ({{ touched('series') }}),
event_keys as materialized ({{ keys_of_touched() }}),

-- the answers from the tail's beginning on that covered an event, whether they show it or not
answers as materialized (
{{ covering_answers(asked=['moment_at', 'captured_at', 'markets', 'books', 'held_back'], shown=['books', 'book_markets'], only_if="c.markets <> '{}'") }}
),

observed as materialized ({{ quotes_of_tails(quoted) }}),

-- the rows that reach into the tail
reaching_in as materialized (
    select standing.*, touched.tail_from
    from touched
    cross join lateral {{ reaching_rows(this, by='series') }} as standing
    where standing.valid_from < touched.tail_from
),

-- A change of format is no change of price: what comes is compared with the last quote before the tail, whatever its format,
-- and not with the row's first one.
last_before as (
    select reaching_in.*, last_quote.*
    from reaching_in
    cross join lateral {{ last_quote_before('reaching_in', 'reaching_in.tail_from') }} as last_quote
),

series as materialized (
    select series_id, line_rank, event_id, bookmaker_key, market_key from observed
    union
    select series_id, line_rank, event_id, bookmaker_key, market_key from reaching_in
),

-- the moments at which a book's market was asked for, and how much of it there was
cell_moments as materialized (
{{ absences('(select distinct event_id, bookmaker_key, market_key from series)', 'answers') }}
),

absent as (
    select series.series_id, series.line_rank, series.event_id, cell_moments.moment_at, cell_moments.captured_at, cell_moments.absence
    from series
    join cell_moments on {{ same_in('cell_moments', 'series', ['event_id', 'bookmaker_key', 'market_key']) }}
    left join observed
        on {{ same_in('observed', 'series', ['series_id', 'line_rank']) }} and observed.moment_at = cell_moments.moment_at
    where observed.series_id is null
),

told as (
    select
        series_id, line_rank, event_id, moment_at, captured_at, true as is_present, false as reaches_in, cast(null as text) as absence,
        {{ quoted | join(', ') }}, phase_as_known,
        price_native as compared_native, price_decimal as compared_decimal, odds_format as compared_format,
        cast(null as timestamptz) as seen_before, cast(null as timestamptz) as tail_from
    from observed
    union all
    select
        series_id, line_rank, event_id, moment_at, captured_at, false, false, absence,
        {{ (['null'] * quoted | length) | join(', ') }}, null, null, null, null, null, null
    from absent
    union all
    select
        series_id, line_rank, event_id, null, valid_from, true, true, null,
        {{ quoted | join(', ') }}, phase_as_known, last_price_native, last_price_decimal, last_odds_format, prev_seen_at, tail_from
    from last_before
),

-- Two moments may have their answers at one time: one that shows the line is enough, then the later moment speaks.
timeline as (
    select distinct on (series_id, line_rank, captured_at) told.* from told
    order by series_id, line_rank, captured_at, is_present desc, moment_at desc
),

compared as (
    select timeline.*,
        lag(is_present) over one_series as was_present,
        lag(compared_native) over one_series as was_native,
        lag(compared_decimal) over one_series as was_decimal,
        lag(compared_format) over one_series as was_format,
        lag(point) over one_series as was_point,
        lag(phase_as_known) over one_series as was_phase
    from timeline
    window one_series as (partition by series_id, line_rank order by captured_at)
),

-- at most one of these is true of a row that begins a stretch, in this order
judged as (
    select compared.*,
        case
            when reaches_in then 'reaches_in'
            when is_present and coalesce(was_present, false) then
                case
                    when point is distinct from was_point then 'changed'
                    when compared_format is not distinct from was_format and compared_native is distinct from was_native then 'changed'
                    when compared_format is distinct from was_format and {{ prices_differ('compared', 'was') }} then 'changed'
                    when phase_as_known is distinct from was_phase then 'phase'
                end
            when is_present then 'appeared'
            when was_present then absence
        end as beginning
    from compared
),

numbered as (
    select judged.*, count(beginning) over (partition by series_id, line_rank order by captured_at rows unbounded preceding) as stretch_no
    from judged
),

extents as (
    select series_id, line_rank, stretch_no,
        max(captured_at) filter (where is_present and not reaches_in) as last_seen_in_tail,
        count(*) filter (where is_present and not reaches_in) as observations_in_tail
    from numbered
    where stretch_no > 0
    group by series_id, line_rank, stretch_no
),

stretches as (
    select firsts.*, extents.last_seen_in_tail, extents.observations_in_tail,
        lead(firsts.captured_at) over one_series as valid_to,
        lead(firsts.beginning) over one_series as ending
    from numbered as firsts
    join extents on {{ same_in('extents', 'firsts', ['series_id', 'line_rank', 'stretch_no']) }}
    where firsts.beginning is not null
    window one_series as (partition by firsts.series_id, firsts.line_rank order by firsts.stretch_no)
),

-- what a row that reaches in had been seen before the tail; read only where the row ends now
present as materialized (
    select stretches.*,
        coalesce(stretches.last_seen_in_tail, earlier.last_seen_at) as last_seen,
        stretches.observations_in_tail + coalesce(earlier.observations, 0) as seen_times
    from stretches
    left join lateral {{ seen_before_tail('stretches') }} as earlier on true
    where stretches.is_present
),

followed as (
    select present.*,
        lag(last_seen) over (partition by series_id, line_rank order by stretch_no) as seen_in_tail_before,
        row_number() over (partition by series_id, line_rank order by stretch_no) as nth
    from present
)

select
    followed.series_id,
    cast(followed.line_rank as integer) as line_rank,
    followed.event_id, event_keys.sport_key,
    {{ columns_of('followed', quoted + ['phase_as_known']) }},
    followed.captured_at as valid_from,
    case when followed.valid_to is not null then followed.last_seen end as last_seen_at,
    followed.valid_to,
    case when followed.valid_to is null then 'open' else followed.ending end as end_reason,
    coalesce(followed.seen_before, followed.seen_in_tail_before, earlier_row.last_seen_at) as prev_seen_at,
    case when followed.valid_to is not null then cast(followed.seen_times as integer) end as observations
from followed
{{ with_sport_key('followed.event_id', 'followed.captured_at') }}
left join lateral (
    select h.last_seen_at from {{ this }} as h
    where followed.nth = 1 and not followed.reaches_in and {{ same_in('h', 'followed', ['series_id', 'line_rank']) }}
        and h.valid_from < followed.captured_at
        and h.valid_to < (select t.tail_from from touched as t where t.event_id = followed.event_id)
    order by h.valid_from desc limit 1
) as earlier_row on true
