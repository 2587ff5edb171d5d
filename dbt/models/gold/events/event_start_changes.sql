{{ config(
    row_key=['event_id', 'exchange_id'],
    scope=rows_since_tails('gold.event_start_changes'),
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'captured_at']}],
) }}
-- The walk over the start times that answers gave for an event, in the order in which they came.
with recursive touched as materialized (
    select event_id, tail_from, seen_from from {{ source('ops', 'touched_events') }}
),

sightings as materialized (
    select
        touched.event_id, touched.tail_from, touched.seen_from, shown.exchange_id, shown.sport_key, shown.captured_at,
        shown.source_rank, shown.place, shown.commence_time
    from touched
    cross join lateral (
        select s.exchange_id, s.sport_key, s.captured_at, s.source_rank, s.place, s.commence_time
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.tail_from
        offset 0
    ) as shown
),

-- what each source said last before the tail
said_before as materialized (
    select sources.event_id, sources.source_rank, earlier.commence_time
    from (select distinct event_id, tail_from, seen_from, source_rank from sightings) as sources
    cross join lateral (
        select s.commence_time from {{ ref('event_sightings') }} as s
        where s.event_id = sources.event_id and s.captured_at >= sources.seen_from and s.captured_at < sources.tail_from
            and s.source_rank = sources.source_rank
        order by s.captured_at desc, s.place desc, s.exchange_id desc limit 1
    ) as earlier
),

compared as (
    select sightings.*,
        coalesce(
            lag(sightings.commence_time) over (
                partition by sightings.event_id, sightings.source_rank
                order by sightings.captured_at, sightings.place, sightings.exchange_id
            ),
            said_before.commence_time
        ) as said_last
    from sightings
    left join said_before
        on said_before.event_id = sightings.event_id and said_before.source_rank = sightings.source_rank
),

-- a value enters only when it differs from what the same source said last: one source must not flip another back
entering as materialized (
    select compared.*,
        row_number() over (
            partition by compared.event_id
            order by compared.captured_at, compared.source_rank, compared.place, compared.exchange_id
        ) as step
    from compared where compared.commence_time is distinct from compared.said_last
),

known_before as (
    select touched.event_id, earlier.start_as_known
    from touched
    left join lateral (
        select c.start_as_known from {{ this }} as c
        where c.event_id = touched.event_id and c.captured_at < touched.tail_from
        order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc limit 1
    ) as earlier on true
),

walk as (
    select
        entering.event_id, entering.step, entering.exchange_id, entering.sport_key, entering.captured_at,
        entering.source_rank, entering.place, known_before.start_as_known as old_start,
        entering.commence_time as new_start,
        {{ start_is_accepted('known_before.start_as_known', 'entering.commence_time', 'entering.captured_at') }} as accepted
    from entering
    join known_before on known_before.event_id = entering.event_id
    where entering.step = 1
    union all
    select
        entering.event_id, entering.step, entering.exchange_id, entering.sport_key, entering.captured_at,
        entering.source_rank, entering.place,
        case when walk.accepted then walk.new_start else walk.old_start end as old_start,
        entering.commence_time as new_start,
        {{ start_is_accepted(
            'case when walk.accepted then walk.new_start else walk.old_start end', 'entering.commence_time', 'entering.captured_at'
        ) }} as accepted
    from walk
    join entering on entering.event_id = walk.event_id and entering.step = walk.step + 1
)

select
    event_id, exchange_id, sport_key, captured_at, source_rank, place, old_start, new_start, accepted,
    case when accepted then new_start else old_start end as start_as_known
from walk
-- a source that tells first what others told before changes nothing
where old_start is distinct from new_start
