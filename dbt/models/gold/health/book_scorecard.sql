{{ config(materialized='view') }}
-- What each book is like, month by month: what it keeps, whether it is there, how old and how odd its quotes are.
with answers as (
    -- an answer about several sports does not tell where a book was missing
    select c.exchange_id,
        min(c.sport_key) as sport_key,
        {{ month_of('min(c.captured_at)') }} as month,
        min(c.books) as books,
        min(c.held_back) as held_back
    from {{ ref('coverage') }} as c
    where c.books <> '{}'
    group by c.exchange_id having min(c.sport_key) = max(c.sport_key)
),

-- of an answer without any quote every book would be absent
telling as (
    select answers.exchange_id, answers.sport_key, answers.month, answers.books, answers.held_back
    from answers
    where exists (select 1 from {{ ref('bookmaker_sightings') }} as shown where shown.exchange_id = answers.exchange_id)
),

presence as (
    select telling.sport_key, telling.month, asked.bookmaker_key,
        count(*) as asked,
        count(shown.bookmaker_key) as quoted
    from telling
    cross join lateral unnest(telling.books) as asked (bookmaker_key)
    left join {{ ref('bookmaker_sightings') }} as shown
        on shown.exchange_id = telling.exchange_id and shown.bookmaker_key = asked.bookmaker_key
    -- a book that is not shown may be the one that is held back
    where shown.bookmaker_key is not null
        or not exists (
            select 1 from unnest(telling.held_back) as held (name)
            where split_part(held.name, '|', 2) in ('', asked.bookmaker_key)
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

ages as (
    select q.sport_key, q.bookmaker_key,
        {{ month_of('q.captured_at') }} as month,
        count(*) as aged,
        count(*) filter (
            where q.captured_at - q.quote_at > interval '1 second' * case
                when q.captured_at < event.start_at
                    then {{ parameter('usable_age_pre_seconds') }} else {{ parameter('usable_age_in_play_seconds') }}
            end
        ) as stale
    from {{ ref('quotes') }} as q
    join {{ ref('events') }} as event on event.event_id = q.event_id
    where q.last_update is not null and q.price_side = 'back'
    group by q.sport_key, q.bookmaker_key, month
),

known as (
    select c.sport_key, max(c.captured_at) as until from {{ ref('coverage') }} as c
    group by c.sport_key
),

-- outliers are looked for some hours before each start, and not at every change: a book counts as often as it is there
looked_at as (
    select
        event.event_id, look.hours, {{ month_of("event.start_at - look.hours * interval '1 hour'") }} as month,
        m.sport_key, m.bookmaker_key, m.overround, m.outcome_names, m.fair_multiplicative,
        {{ line_key('m', after='m.outcome_set') }} as line_key,
        coalesce(profile.operator_group, m.bookmaker_key) as operator_group
    from {{ ref('events') }} as event
    join known on known.sport_key = event.sport_key
    cross join {{ horizons() }} as look (hours)
    join {{ ref('margins') }} as m
        on m.event_id = event.event_id and event.start_at - look.hours * interval '1 hour' >= m.valid_from
        and (m.valid_to is null or event.start_at - look.hours * interval '1 hour' < m.valid_to)
    {{ with_profile('m.bookmaker_key', "event.start_at - look.hours * interval '1 hour'") }}
    where event.start_at - look.hours * interval '1 hour' <= known.until and m.is_sound and m.set_no = 1
        and m.market_key in ('h2h', 'spreads', 'totals') and {{ has_own_prices('profile') }}
),

-- a group's lowest margin is what the others are compared with
voices as (
    select distinct on (event_id, hours, line_key, operator_group)
        event_id, hours, line_key, operator_group, outcome_names, fair_multiplicative
    from looked_at
    order by event_id, hours, line_key, operator_group, overround, bookmaker_key
),

heard as (
    select voices.event_id, voices.hours, voices.line_key, voices.operator_group, outcome.outcome_name, outcome.ratio
    from voices
    cross join lateral unnest(voices.outcome_names, voices.fair_multiplicative) as outcome (outcome_name, ratio)
),

ranked as (
    select heard.event_id, heard.hours, heard.line_key, heard.operator_group, heard.outcome_name,
        {{ place_among('ratio', of='event_id, hours, line_key, outcome_name') }} as position,
        {{ all_of('ratio', of='event_id, hours, line_key, outcome_name') }} as ordered_ratios
    from heard
),

compared as (
    select
        looked_at.sport_key, looked_at.bookmaker_key, looked_at.month, looked_at.event_id, looked_at.hours, looked_at.line_key,
        bool_or(
            abs(outcome.ratio - {{ median_of_others('ranked.ordered_ratios', 'ranked.position') }}) > {{ parameter('outlier_pre') }}
        ) as is_outlier
    from looked_at
    cross join lateral unnest(looked_at.outcome_names, looked_at.fair_multiplicative) as outcome (outcome_name, ratio)
    join ranked
        on {{ same_in('ranked', 'looked_at', ['event_id', 'hours', 'line_key', 'operator_group']) }}
        and ranked.outcome_name = outcome.outcome_name
    where cardinality(ranked.ordered_ratios) - 1 >= {{ parameter('outlier_min_groups') }}
    group by
        looked_at.sport_key, looked_at.bookmaker_key, looked_at.month, looked_at.event_id, looked_at.hours, looked_at.line_key
),

oddities as (
    select sport_key, bookmaker_key, month, count(*) as compared, count(*) filter (where is_outlier) as outliers
    from compared group by sport_key, bookmaker_key, month
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
    {{ share_of('oddities.outliers', 'oddities.compared') }} as outlier_share,
    cast(coalesce(oddities.compared, 0) as integer) as compared_sets
from cards
left join presence on {{ same_in('presence', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
left join holds on {{ same_in('holds', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
left join ages on {{ same_in('ages', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
left join oddities on {{ same_in('oddities', 'cards', ['sport_key', 'bookmaker_key', 'month']) }}
