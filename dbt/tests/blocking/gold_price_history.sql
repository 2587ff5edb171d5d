-- gold.price_history, the rows of touched events that are open or reach into the tail: one row per broken rule and row.
-- What holds of each row by itself is in contracts/warehouse, and evaluated beside this.
with touched as materialized (
{{ touched('series') }}
),

tail as materialized (
{{ tail_of(ref('price_history'), 'series') }}
),

event_keys as materialized (
{{ keys_of_touched() }}
),

markets as materialized (
    select shown.market_key, rule.family
    from (select distinct market_key from tail) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
),

-- of the touched events, those that events has
events as materialized (
    select found.event_id
    from touched
    cross join lateral (
        select e.event_id from {{ ref('events') }} as e where e.event_id = touched.event_id offset 0
    ) as found
),

chained as materialized (
    select
        tail.*,
        events.event_id is not null as has_event,
        markets.family,
        event_keys.sport_key as key_then,
        lag(tail.valid_from) over one_series as began_before,
        lag(tail.valid_to) over one_series as ended_before,
        lead(tail.valid_from) over one_series as begins_after,
        lead(tail.point) over one_series as point_after,
        lead(tail.price_native) over one_series as price_after,
        lead(tail.odds_format) over one_series as format_after,
        lead(tail.phase_as_known) over one_series as phase_after
    from tail
    join markets on markets.market_key = tail.market_key
    left join events on events.event_id = tail.event_id
    {{ with_sport_key('tail.event_id', 'tail.valid_from') }}
    window one_series as (partition by tail.series_id, tail.line_rank order by tail.valid_from)
),

-- each pending quote whose row, the one that stood when it was captured, does not say the same
doubtful as materialized (
    select
        q.exchange_id, q.event_id, q.sport_key, q.series_id, q.line_rank, q.moment_at, q.captured_at, q.point, q.price_native, q.odds_format,
        standing.valid_from, standing.valid_to, standing.point as row_point, standing.price_native as row_native,
        standing.odds_format as row_format,
        q.price_decimal, standing.price_decimal as row_decimal,
        standing.valid_from is not null
        and coalesce(standing.valid_to > q.captured_at, true)
        and standing.point is not distinct from q.point
        -- what is no price drifts to none
        and standing.price_decimal is not null
        and q.price_decimal is not null as differs_by_price_only
    from {{ source('ops', 'pending') }} as pending
    cross join lateral (
        select shown.* from {{ ref('quotes') }} as shown
        where shown.exchange_id = pending.exchange_id and shown.captured_at = pending.captured_at offset 0
    ) as q
    left join lateral (
        select h.valid_from, h.valid_to, h.point, h.price_native, h.odds_format, h.price_decimal
        from {{ ref('price_history') }} as h
        where h.series_id = q.series_id and h.line_rank = q.line_rank and h.valid_from <= q.captured_at
        order by h.valid_from desc
        limit 1
    ) as standing on true
    where standing.valid_from is null
        or standing.valid_to <= q.captured_at
        or standing.point is distinct from q.point
        -- null: without a row the first condition holds
        or (standing.odds_format = q.odds_format and standing.price_native <> q.price_native)
        or (
            (standing.price_decimal is null or q.price_decimal is null)
            and (standing.price_decimal, standing.price_native) is distinct from (q.price_decimal, q.price_native)
        )
),

-- `offset 0` keeps the few look-ups from becoming joins with whole tables
mismatched as (
    select d.*
    from doubtful as d
    where
        -- unless another answer of the moment, or another moment of the same time, speaks for the series
        not exists (
            select 1
            from {{ ref('quotes') }} as other
            where other.event_id = d.event_id
                and other.series_id = d.series_id
                and other.line_rank = d.line_rank
                and other.exchange_id <> d.exchange_id
                and other.captured_at >= d.captured_at
                and (other.moment_at = d.moment_at or other.captured_at = d.captured_at)
            offset 0
        )
        -- between formats a price may drift within its rounding
        and not (
            d.differs_by_price_only
            and exists (
                select 1
                from {{ ref('quotes') }} as other
                where other.event_id = d.event_id
                    and other.series_id = d.series_id
                    and other.captured_at between d.valid_from and d.captured_at
                    and other.odds_format <> d.odds_format
                offset 0
            )
        )
)

select
    'price_history: ' || rules.rule as rule,
    concat_ws(' ', c.event_id, c.series_id, c.line_rank, c.valid_from) as key,
    cast(to_jsonb(c) as text) as detail
from chained as c
cross join lateral (
    values
    ('rows of a series do not overlap, and at most one is open', c.began_before is null or coalesce(c.ended_before <= c.valid_from, false)),
    ('prev_seen_at is there where the series was there before', c.prev_seen_at is not null or c.began_before is null),
    (
        'end_reason is changed or phase where the next row says so',
        case c.end_reason
            -- null: nothing that follows breaks the rule
            when 'changed' then c.begins_after = c.valid_to and (c.point_after, c.price_after, c.format_after) is distinct from (c.point, c.price_native, c.odds_format)
            when 'phase' then c.begins_after = c.valid_to and c.phase_after <> c.phase_as_known
            else true
        end
    ),
    (
        'an absence is that of an answer which asked for the book and market',
        c.end_reason not in ('outcome_absent', 'market_absent', 'book_absent', 'event_absent')
        or exists (
            select 1
            from {{ ref('coverage') }} as asked
            where asked.sport_key = {{ sport_key_at('c.event_id', 'c.valid_to') }}
                and asked.event_id in ('', c.event_id)
                -- null: an absence has its time
                and asked.captured_at = c.valid_to
                and c.market_key = any (asked.markets)
                and c.bookmaker_key = any (asked.books)
                and {{ tells_of_market('asked', 'c.event_id', 'c.bookmaker_key', 'c.market_key') }}
            offset 0
        )
        -- or of one that shows the event, be it under another key than the time's last one
        or exists (
            select 1
            from {{ ref('event_sightings') }} as shown
            join {{ ref('coverage') }} as asked on asked.exchange_id = shown.exchange_id and asked.event_id in ('', c.event_id)
            where shown.event_id = c.event_id
                -- null: an absence has its time
                and shown.captured_at = c.valid_to
                and c.market_key = any (asked.markets)
                and c.bookmaker_key = any (asked.books)
                and {{ tells_of_market('asked', 'c.event_id', 'c.bookmaker_key', 'c.market_key') }}
            offset 0
        )
    ),
    ('its sport is the one that its event belonged to at valid_from', c.sport_key is not distinct from c.key_then),
    (
        'price_decimal and implied_probability follow from the native price',
        (c.price_decimal, c.implied_probability) is not distinct from (
            {{ price_decimal('c.price_native', 'c.odds_format') }}, {{ implied_probability('c.price_native', 'c.odds_format') }}
        )
    ),
    (
        'line_point is null for h2h, the home handicap for spreads, else the point',
        c.line_point is not distinct from case
            when c.family in ('h2h', 'h2h_lay') then null
            when c.family <> 'spreads' or c.outcome_side = 'home' then c.point
            when c.outcome_side = 'away' then -c.point
        end
    ),
    (
        'it begins with a quote that shows it',
        c.valid_from < c.tail_from
        or exists (
            select 1
            from {{ ref('quotes') }} as q
            where q.event_id = c.event_id
                and q.series_id = c.series_id
                and q.captured_at = c.valid_from
                and q.line_rank = c.line_rank
                and (q.bookmaker_key, q.market_key, q.outcome_name, q.price_side, q.price_native, q.odds_format)
                    = (c.bookmaker_key, c.market_key, c.outcome_name, c.price_side, c.price_native, c.odds_format)
                and (q.description, q.point) is not distinct from (c.description, c.point)
            offset 0
        )
    ),
    (
        'it was last seen in a quote',
        c.last_seen_at is null
        or exists (
            select 1
            from {{ ref('quotes') }} as q
            -- null: told apart above
            where q.event_id = c.event_id and q.series_id = c.series_id and q.captured_at = c.last_seen_at and q.line_rank = c.line_rank
            offset 0
        )
    ),
    (
        'phase_as_known is pre before the start that was known at valid_from, else in_play',
        c.valid_from < c.tail_from
        or c.phase_as_known = case
            when (
                select s.start_as_known
                from {{ ref('event_start_changes') }} as s
                where s.event_id = c.event_id and s.captured_at <= c.valid_from
                order by s.captured_at desc, s.source_rank desc, s.place desc, s.exchange_id desc
                limit 1
            ) > c.valid_from then 'pre'
            else 'in_play'
        end
    ),
    ('its event is in events', c.has_event)
) as rules (rule, holds)
where rules.holds is not true

union all

select
    'price_history: every quote is in a row with its price and point',
    concat_ws(' ', m.event_id, m.series_id, m.line_rank, m.captured_at),
    cast(to_jsonb(m) as text)
from mismatched as m
