{{ config(materialized='view') }}
-- What each book is like, month by month: what it keeps, whether it is there, how old and how odd its quotes are.
with answers as (
    select c.exchange_id,
        min(c.books) as books,
        min(c.held_back) as held_back
    from {{ ref('coverage') }} as c
    where c.books <> '{}'
    group by c.exchange_id
),

-- each answer about an event; of one without any quote every book would be absent
telling as (
    select
        answers.books, answers.held_back, s.event_id, s.sport_key, {{ month_of('s.captured_at') }} as month, s.books as shown
    from answers
    join {{ ref('event_sightings') }} as s on s.exchange_id = answers.exchange_id
    where s.shows_odds and s.books <> '{}'
),

presence as (
    select telling.sport_key, telling.month, asked.bookmaker_key,
        count(*) as asked,
        count(*) filter (where telling.shown ? asked.bookmaker_key) as quoted
    from telling
    cross join lateral unnest(telling.books) as asked (bookmaker_key)
    -- a book that is not shown may be the one that is held back
    where telling.shown ? asked.bookmaker_key
        or not exists (
            select 1 from unnest(telling.held_back) as held (name)
            where split_part(held.name, '|', 1) = telling.event_id and split_part(held.name, '|', 2) in ('', asked.bookmaker_key)
        )
    group by telling.sport_key, telling.month, asked.bookmaker_key
),

holds as (
    select m.sport_key, m.bookmaker_key,
        {{ month_of('m.valid_from') }} as month,
        count(*) as sets,
        sum(m.hold) as hold_sum
    from {{ ref('margins') }} as m
    where m.is_sound and m.phase_as_known = 'pre' and m.market_key in ('h2h', 'spreads', 'totals')
    group by m.sport_key, m.bookmaker_key, month
),

-- what was believed of a start, and from when until when
believed as (
    select c.event_id, c.start_as_known, c.captured_at as from_at,
        lead(c.captured_at, 1, 'infinity') over (partition by c.event_id order by c.captured_at) as until_at
    from (
        select distinct on (event_id, captured_at) event_id, captured_at, start_as_known
        from {{ ref('event_start_changes') }}
        order by event_id, captured_at, source_rank desc, place desc, exchange_id desc
    ) as c
),

aged as (
    select q.sport_key, q.bookmaker_key,
        {{ month_of('q.captured_at') }} as month,
        believed.start_as_known > q.captured_at as is_pre,
        q.captured_at - q.quote_at
            > {{ age_limit('usable', "case when believed.start_as_known > q.captured_at then 'pre' else 'in_play' end") }} as is_stale
    from {{ ref('quotes') }} as q
    join believed
        -- null: until the end
        on believed.event_id = q.event_id and q.captured_at >= believed.from_at and q.captured_at < believed.until_at
    where q.last_update is not null and q.price_side = 'back'
),

ages as (
    select sport_key, bookmaker_key, month,
        count(*) as aged,
        count(*) filter (where is_stale) as stale,
        count(*) filter (where is_pre) as aged_pre,
        count(*) filter (where is_pre and is_stale) as stale_pre,
        count(*) filter (where not is_pre) as aged_in_play,
        count(*) filter (where not is_pre and is_stale) as stale_in_play
    from aged group by sport_key, bookmaker_key, month
),

-- of events that began it is stored; the others' looks are those that have come
counted as (
    select sport_key, bookmaker_key, start_at, horizon_hours, compared_sets, outlier_sets from {{ ref('outlier_counts') }}
    union all
    select sport_key, bookmaker_key, start_at, horizon_hours, compared_sets, outlier_sets from {{ ref('outlier_counts_now') }}
),

oddities as (
    select counted.sport_key, counted.bookmaker_key,
        {{ month_of("counted.start_at - counted.horizon_hours * interval '1 hour'") }} as month,
        sum(counted.compared_sets) as compared,
        sum(counted.outlier_sets) as outliers
    from counted
    group by counted.sport_key, counted.bookmaker_key, month
),

cards as (
    select sport_key, bookmaker_key, month from presence
    union
    select sport_key, bookmaker_key, month from holds
    union
    select sport_key, bookmaker_key, month from ages
    union
    select sport_key, bookmaker_key, month from oddities
)

select
    cards.sport_key, cards.bookmaker_key, cards.month,
    cast(round(holds.hold_sum, 40) / holds.sets as numeric(12, 10)) as mean_hold,
    cast(coalesce(holds.sets, 0) as integer) as hold_sets,
    {{ share_of('presence.quoted', 'presence.asked') }} as uptime,
    cast(coalesce(presence.asked, 0) as integer) as covering_captures,
    {{ share_of('ages.stale', 'ages.aged') }} as stale_share,
    cast(coalesce(ages.aged, 0) as integer) as aged_quotes,
    {{ share_of('ages.stale_pre', 'nullif(ages.aged_pre, 0)') }} as stale_share_pre,
    cast(coalesce(ages.aged_pre, 0) as integer) as aged_quotes_pre,
    {{ share_of('ages.stale_in_play', 'nullif(ages.aged_in_play, 0)') }} as stale_share_in_play,
    cast(coalesce(ages.aged_in_play, 0) as integer) as aged_quotes_in_play,
    {{ share_of('oddities.outliers', 'oddities.compared') }} as outlier_share,
    cast(coalesce(oddities.compared, 0) as integer) as compared_sets
from cards
left join presence on {{ same_in('presence', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
left join holds on {{ same_in('holds', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
left join ages on {{ same_in('ages', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
left join oddities on {{ same_in('oddities', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
