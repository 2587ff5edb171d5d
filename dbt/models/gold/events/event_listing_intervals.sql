{{ config(
    row_key=['event_id', 'valid_from'],
    scope=rows_of_tails('gold.event_listing_intervals'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}, {'columns': ['sport_key', 'valid_to']}],
) }}
-- When an event was listed: shown by some answer of each moment whose answers cover it.
with touched as materialized (select event_id, tail_from from {{ source('ops', 'touched_events') }}),
event_keys as materialized ({{ keys_of_touched() }}),
answers as ({{ covering_answers(asked=['moment_at', 'captured_at'], shown=[], only_if='c.covers_listing') }}),

moments as (
    select event_id,
        bool_or(shows_event) as is_listed,
        coalesce(min(captured_at) filter (where shows_event), max(captured_at)) as captured_at
    from answers group by event_id, moment_at
),

-- two moments may have their answers at one time: one that shows it is enough
points as (
    select event_id, captured_at, bool_or(is_listed) as is_listed from moments
    group by event_id, captured_at
),

reaching_in as (
    select touched.event_id, touched.tail_from, standing.valid_from
    from touched
    cross join lateral (
        select l.valid_from from {{ this }} as l where l.event_id = touched.event_id and l.valid_to is null
        union all
        select l.valid_from from {{ this }} as l where l.event_id = touched.event_id and l.valid_to >= touched.tail_from
    ) as standing
    where standing.valid_from < touched.tail_from
),

timeline as (
    select event_id, captured_at, is_listed, false as reaches_in from points
    union all
    select event_id, valid_from as captured_at, true as is_listed, true as reaches_in from reaching_in
),

compared as (
    select timeline.*, is_listed is distinct from coalesce(lag(is_listed) over one_event, false) as is_change
    from timeline
    window one_event as (partition by event_id order by captured_at)
),

numbered as (
    select compared.*,
        count(*) filter (where is_change) over (
            partition by event_id order by captured_at rows between unbounded preceding and current row
        ) as stretch_no
    from compared
),

stretches as (
    select event_id, stretch_no,
        min(captured_at) as valid_from,
        max(captured_at) filter (where not reaches_in) as last_seen_in_tail,
        count(*) filter (where not reaches_in) as observations_in_tail,
        bool_or(reaches_in) as reaches_in,
        bool_and(is_listed) as is_listed
    from numbered
    where stretch_no > 0
    group by event_id, stretch_no
),

ended as (
    select stretches.*, lead(valid_from) over (partition by event_id order by stretch_no) as valid_to
    from stretches
)

select
    ended.event_id, event_keys.sport_key, ended.valid_from,
    case when ended.valid_to is not null then coalesce(ended.last_seen_in_tail, earlier.last_seen_at) end as last_seen_at,
    ended.valid_to,
    case
        when ended.valid_to is not null
            then cast(ended.observations_in_tail + coalesce(earlier.observations, 0) as integer)
    end as observations
from ended
{{ with_sport_key('ended.event_id', 'ended.valid_from') }}
left join touched on touched.event_id = ended.event_id and ended.reaches_in and ended.valid_to is not null
left join lateral (
    select count(distinct first_at) as observations, max(first_at) as last_seen_at
    from (
        select min(s.captured_at) as first_at from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= ended.valid_from and s.captured_at < touched.tail_from
            and s.source_rank < 5
        group by s.moment_at
    ) as seen
) as earlier on true
where ended.is_listed
