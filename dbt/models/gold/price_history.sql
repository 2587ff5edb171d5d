{{ config(
    row_key=['series_id', 'line_rank', 'valid_from'],
    scope=rows_of_tails('gold.price_history', by='series'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[
        {'columns': ['event_id', 'valid_to']},
        {'columns': ['sport_key', 'valid_to']},
    ],
    pre_hook="{{ find_touched_series() }}",
    post_hook="{{ find_touched_lines() }}",
    when_made=["create index price_history_open on gold.price_history (sport_key, market_key, event_id) where valid_to is null"],
) }}
-- Each quoted line over time: one row per series and stretch of unchanged price and point.
with {{ touched('series') }},

{{ keys_of_touched() }},

-- the answers from the tail's beginning on that covered an event, whether they show it or not
answers as materialized (
{{ covering_answers(asked=['moment_at', 'captured_at', 'markets', 'books', 'held_back'], shown=['books', 'book_markets'], only_if="c.markets <> '{}'") }}
),

sightings as (
    select touched.event_id, touched.tail_from, touched.is_whole, shown.exchange_id, shown.captured_at, shown.place, shown.body_sha256
    from touched
    cross join lateral (
        select s.exchange_id, s.captured_at, s.place, s.body_sha256
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.tail_from and s.shows_odds
        offset 0
    ) as shown
),

phased as materialized (
    select
        sightings.*,
        phase.phase_as_known
    from sightings
    cross join lateral {{ phase_then('sightings.event_id', 'sightings.captured_at') }} as phase
),

-- one price per series and moment: the latest; then the smallest place in the plan; then the smallest hash
observed as materialized (
    select distinct on (quoted.series_id, quoted.line_rank, quoted.moment_at)
        quoted.*,
        phased.phase_as_known
    from phased
    cross join lateral (
        select
            q.series_id, q.line_rank, q.moment_at, q.captured_at, q.event_id, q.bookmaker_key, q.market_key,
            q.description, q.outcome_name, q.outcome_side, q.price_side, q.point, q.line_point, q.price_native, q.odds_format,
            q.price_decimal, q.implied_probability
        from {{ ref('quotes') }} as q
        where q.exchange_id = phased.exchange_id and q.event_id = phased.event_id and q.captured_at = phased.captured_at
            and {{ is_looked_at('q', 'series', 'phased') }}
        offset 0
    ) as quoted
    order by
        quoted.series_id, quoted.line_rank, quoted.moment_at,
        phased.captured_at desc, phased.place, phased.body_sha256, phased.exchange_id
),

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
    select
        reaching_in.*,
        last_quote.price_native as last_price_native,
        last_quote.price_decimal as last_price_decimal,
        last_quote.odds_format as last_odds_format
    from reaching_in
    cross join lateral (
        select q.price_native, q.price_decimal, q.odds_format
        from {{ ref('quotes') }} as q
        where q.event_id = reaching_in.event_id
            and q.series_id = reaching_in.series_id
            and q.line_rank = reaching_in.line_rank
            and q.captured_at = (
                select max(latest.captured_at)
                from {{ ref('quotes') }} as latest
                where latest.event_id = reaching_in.event_id
                    and latest.series_id = reaching_in.series_id
                    and latest.line_rank = reaching_in.line_rank
                    and latest.captured_at < reaching_in.tail_from
            )
        order by
            q.moment_at desc, q.place,
            (
                select s.body_sha256
                from {{ ref('event_sightings') }} as s
                where s.exchange_id = q.exchange_id and s.event_id = q.event_id and s.captured_at = q.captured_at
            ),
            q.exchange_id
        limit 1
    ) as last_quote
),

series as materialized (
    select series_id, line_rank, event_id, bookmaker_key, market_key from observed
    union
    select series_id, line_rank, event_id, bookmaker_key, market_key from reaching_in
),

cells as (
    select distinct event_id, bookmaker_key, market_key from series
),

-- the moments at which a book's market was asked for, and how much of it there was
cell_moments as materialized (
    select
        cells.event_id,
        cells.bookmaker_key,
        cells.market_key,
        answers.moment_at,
        max(answers.captured_at) as captured_at,
        case
            when not bool_or(answers.shows_event) then 'event_absent'
            when not coalesce(bool_or(answers.shown_books ? cells.bookmaker_key), false) then 'book_absent'
            when not coalesce(bool_or(cells.bookmaker_key || '|' || cells.market_key = any (answers.shown_book_markets)), false)
                then 'market_absent'
            else 'outcome_absent'
        end as absence
    from cells
    join answers
        on answers.event_id = cells.event_id
        and cells.market_key = any (answers.markets)
        and cells.bookmaker_key = any (answers.books)
        and {{ tells_of_market('answers', 'cells.event_id', 'cells.bookmaker_key', 'cells.market_key') }}
    group by cells.event_id, cells.bookmaker_key, cells.market_key, answers.moment_at
),

absent as (
    select
        series.series_id,
        series.line_rank,
        series.event_id,
        cell_moments.moment_at,
        cell_moments.captured_at,
        cell_moments.absence
    from series
    join cell_moments
        on cell_moments.event_id = series.event_id
        and cell_moments.bookmaker_key = series.bookmaker_key
        and cell_moments.market_key = series.market_key
    left join observed
        on observed.series_id = series.series_id
        and observed.line_rank = series.line_rank
        and observed.moment_at = cell_moments.moment_at
    where observed.series_id is null
),

told as (
    select
        series_id, line_rank, event_id, moment_at, captured_at, true as is_present, false as reaches_in, cast(null as text) as absence,
        bookmaker_key, market_key, description, outcome_name, outcome_side, price_side, point, line_point,
        price_native, odds_format, price_decimal, implied_probability, phase_as_known,
        price_native as compared_native, price_decimal as compared_decimal, odds_format as compared_format,
        cast(null as timestamptz) as seen_before, cast(null as timestamptz) as tail_from
    from observed
    union all
    select
        series_id, line_rank, event_id, moment_at, captured_at, false as is_present, false as reaches_in, absence,
        null, null, null, null, null, null, null, null,
        null, null, null, null, null,
        null, null, null,
        null, null
    from absent
    union all
    select
        series_id, line_rank, event_id, null as moment_at, valid_from as captured_at, true as is_present, true as reaches_in, null as absence,
        bookmaker_key, market_key, description, outcome_name, outcome_side, price_side, point, line_point,
        price_native, odds_format, price_decimal, implied_probability, phase_as_known,
        last_price_native as compared_native, last_price_decimal as compared_decimal, last_odds_format as compared_format,
        prev_seen_at as seen_before, tail_from
    from last_before
),

-- Two moments may have their answers at one time: one that shows the line is enough, then the later moment speaks.
timeline as (
    select distinct on (series_id, line_rank, captured_at) told.*
    from told
    order by series_id, line_rank, captured_at, is_present desc, moment_at desc
),

compared as (
    select
        timeline.*,
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
    select
        compared.*,
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
    select
        judged.*,
        count(beginning) over (
            partition by series_id, line_rank order by captured_at
            rows between unbounded preceding and current row
        ) as stretch_no
    from judged
),

firsts as (
    select numbered.*
    from numbered
    where beginning is not null
),

extents as (
    select
        series_id,
        line_rank,
        stretch_no,
        max(captured_at) filter (where is_present and not reaches_in) as last_seen_in_tail,
        count(*) filter (where is_present and not reaches_in) as observations_in_tail
    from numbered
    where stretch_no > 0
    group by series_id, line_rank, stretch_no
),

stretches as (
    select
        firsts.*,
        extents.last_seen_in_tail,
        extents.observations_in_tail,
        lead(firsts.captured_at) over one_series as valid_to,
        lead(firsts.beginning) over one_series as ending
    from firsts
    join extents
        on extents.series_id = firsts.series_id
        and extents.line_rank = firsts.line_rank
        and extents.stretch_no = firsts.stretch_no
    window one_series as (partition by firsts.series_id, firsts.line_rank order by firsts.stretch_no)
),

-- what a row that reaches in had been seen before the tail; read only where the row ends now
present as materialized (
    select
        stretches.*,
        coalesce(stretches.last_seen_in_tail, earlier.last_seen_at) as last_seen,
        stretches.observations_in_tail + coalesce(earlier.observations, 0) as seen_times
    from stretches
    left join lateral (
        select count(distinct moments.last_at) as observations, max(moments.last_at) as last_seen_at
        from (
            select max(q.captured_at) as last_at
            from {{ ref('quotes') }} as q
            where stretches.reaches_in
                and stretches.valid_to is not null
                and q.event_id = stretches.event_id
                and q.series_id = stretches.series_id
                and q.line_rank = stretches.line_rank
                and q.captured_at >= stretches.captured_at
                and q.captured_at < stretches.tail_from
            group by q.moment_at
        ) as moments
    ) as earlier on true
    where stretches.is_present
),

followed as (
    select
        present.*,
        lag(last_seen) over (partition by series_id, line_rank order by stretch_no) as seen_in_tail_before,
        row_number() over (partition by series_id, line_rank order by stretch_no) as nth
    from present
)

select
    followed.series_id,
    cast(followed.line_rank as integer) as line_rank,
    followed.event_id,
    event_keys.sport_key,
    followed.bookmaker_key,
    followed.market_key,
    followed.description,
    followed.outcome_name,
    followed.outcome_side,
    followed.price_side,
    followed.point,
    followed.line_point,
    followed.price_native,
    followed.odds_format,
    followed.price_decimal,
    followed.implied_probability,
    followed.phase_as_known,
    followed.captured_at as valid_from,
    case when followed.valid_to is not null then followed.last_seen end as last_seen_at,
    followed.valid_to,
    case
        when followed.valid_to is null then 'open'
        else followed.ending
    end as end_reason,
    coalesce(followed.seen_before, followed.seen_in_tail_before, earlier_row.last_seen_at) as prev_seen_at,
    case when followed.valid_to is not null then cast(followed.seen_times as integer) end as observations
from followed
{{ with_sport_key('followed.event_id', 'followed.captured_at') }}
left join lateral (
    select h.last_seen_at
    from {{ this }} as h
    where followed.nth = 1
        and not followed.reaches_in
        and h.series_id = followed.series_id
        and h.line_rank = followed.line_rank
        and h.valid_from < followed.captured_at
        and h.valid_to < (select t.tail_from from touched as t where t.event_id = followed.event_id)
    order by h.valid_from desc
    limit 1
) as earlier_row on true
