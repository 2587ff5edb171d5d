-- gold.stale_quotes, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
with touched as materialized (
{{ touched('series') }}
),

tail as materialized (
{{ tail_of(ref('stale_quotes'), 'series') }}
),

chained as materialized (
    select
        tail.*,
        lag(tail.valid_from) over one_series as began_before,
        lag(tail.valid_to) over one_series as ended_before
    from tail
    window one_series as (partition by tail.series_id, tail.line_rank order by tail.valid_from)
),

-- what is quoted of events that are looked at whole, and of the other touched series, which are found by their key
quoted_now as (
    select whole.*
    from touched
    cross join lateral (
        select h.series_id, h.line_rank, h.event_id, h.phase_as_known, h.price_side, h.valid_to
        from {{ ref('price_history') }} as h
        where touched.is_whole and h.event_id = touched.event_id and h.valid_to is null
        offset 0
    ) as whole
    union all
    select newest.*
    from ops.touched_series as those
    cross join lateral (
        select h.series_id, h.line_rank, h.event_id, h.phase_as_known, h.price_side, h.valid_to
        from {{ ref('price_history') }} as h
        where {{ same_in('h', 'those', ['series_id', 'line_rank']) }}
        order by h.valid_from desc limit 1
    ) as newest
),

-- of those the ones whose last quote is too old for its answer
stale_now as (
    select quoted_now.series_id, quoted_now.line_rank, quoted_now.event_id, told.duplicate_no
    from quoted_now
    cross join lateral {{ quote_until("'infinity'", 'quoted_now.event_id', 'quoted_now.series_id', 'quoted_now.line_rank', ['captured_at', 'quote_at', 'duplicate_no']) }} as told
    where quoted_now.valid_to is null and quoted_now.price_side = 'back' and {{ is_stale('told', 'quoted_now.phase_as_known') }}
),

open_rows as (select series_id, line_rank, event_id from tail where valid_to is null)

select
    'stale_quotes: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.series_id, c.line_rank, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    ('rows of a series do not overlap, and at most one is open', c.began_before is null or coalesce(c.ended_before <= c.valid_from, false)),
    (
        'its event is in events',
        exists (select 1 from {{ ref('events') }} as e where e.event_id = c.event_id offset 0)
    ),
    (
        'its series is quoted then',
        exists (
            select 1 from {{ ref('price_history') }} as h
            where h.series_id = c.series_id and h.line_rank = c.line_rank and {{ stands_at('h', 'c.valid_from') }}
            offset 0
        )
    )
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'stale_quotes: what is not fresh now is open, and nothing else',
    concat_ws(' ', event_id, series_id, line_rank),
    concat_ws(' ', s.duplicate_no is not null, o.series_id is not null)
from stale_now as s
full join open_rows as o using (event_id, series_id, line_rank)
where s.duplicate_no is null or o.series_id is null
