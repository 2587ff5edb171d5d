{{ config(materialized='view') }}
-- What each published batch brought, beside what the batches of its plan before it brought.
select
    batch.batch_id, batch.scheduled_at, batch.plan_id, requests.asked, requests.answered, requests.held_back,
    shown.events, shown.books, shown.outcomes, before.batches as baseline_batches, before.events_median,
    before.books_median, before.outcomes_median, spent.credits, ages.quote_age_p50_seconds, ages.quote_age_p95_seconds,
    starts.starts_suspect, results.results_missing
from {{ source('bronze', 'batches') }} as batch
join {{ source('ops', 'batch_states') }} as states on states.batch_id = batch.batch_id and states.state = 'published'
cross join lateral (
    select
        cast(count(distinct exchanges.place) as integer) as asked,
        cast(count(distinct exchanges.place) filter (where ledger.exchange_id is not null) as integer) as answered,
        cast(count(*) filter (where not ledger.applied) as integer) as held_back
    from {{ source('bronze', 'exchanges') }} as exchanges
    left join {{ source('ops', 'ledger') }} as ledger on ledger.exchange_id = exchanges.exchange_id
    where exchanges.batch_id = batch.batch_id
) as requests
cross join lateral {{ shown_in('batch') }} as shown
cross join lateral (
    select
        cast(count(*) as integer) as batches,
        percentile_disc(0.5) within group (order by then_shown.events) as events_median,
        percentile_disc(0.5) within group (order by then_shown.books) as books_median,
        percentile_disc(0.5) within group (order by then_shown.outcomes) as outcomes_median
    from (
        select earlier.batch_id
        from {{ source('bronze', 'batches') }} as earlier
        join {{ source('ops', 'batch_states') }} as stands on stands.batch_id = earlier.batch_id and stands.state = 'published'
        -- ids begin with the batch's time
        where earlier.plan_id = batch.plan_id and earlier.batch_id < batch.batch_id
        order by earlier.batch_id desc
        limit cast({{ parameter('health_baseline_batches') }} as bigint)
    ) as baseline
    cross join lateral {{ shown_in('baseline') }} as then_shown
) as before
cross join lateral (
    select cast(sum(coalesce(charges.reported, charges.computed)) as integer) as credits
    from {{ source('bronze', 'exchanges') }} as exchanges
    join {{ source('ops', 'charges') }} as charges on charges.exchange_id = exchanges.exchange_id
    where exchanges.batch_id = batch.batch_id
) as spent
cross join lateral (
    select
        percentile_disc(0.5) within group (order by aged.seconds) as quote_age_p50_seconds,
        percentile_disc(0.95) within group (order by aged.seconds) as quote_age_p95_seconds
    from (
        select {{ seconds_between('q.quote_at', 'q.captured_at') }} as seconds
        from {{ source('ops', 'ledger') }} as ledger
        join {{ ref('quotes') }} as q on q.exchange_id = ledger.exchange_id
        where ledger.batch_id = batch.batch_id and ledger.applied and q.last_update is not null
    ) as aged
) as ages
cross join lateral (
    select cast(count(distinct changes.event_id) as integer) as starts_suspect
    from {{ source('ops', 'ledger') }} as ledger
    join {{ ref('event_sightings') }} as sightings on sightings.exchange_id = ledger.exchange_id
    join {{ ref('event_start_changes') }} as changes
        on changes.event_id = sightings.event_id and changes.exchange_id = sightings.exchange_id
    where ledger.batch_id = batch.batch_id and ledger.applied and not changes.accepted
) as starts
-- of the sports that it asked about: games that ask for their score soon, or never get it from an answer
cross join lateral (
    select cast(count(*) as integer) as results_missing
    from (
        select distinct asked.sport_key
        from {{ source('ops', 'ledger') }} as ledger
        join {{ ref('coverage') }} as asked on asked.exchange_id = ledger.exchange_id
        where ledger.batch_id = batch.batch_id and ledger.applied
    ) as sports
    join {{ ref('events') }} as event
        on event.sport_key = sports.sport_key
        and event.start_at > batch.scheduled_at - {{ parameter('result_lost_after_seconds') }} * interval '1 second'
        and event.start_at <= batch.scheduled_at - {{ parameter('result_due_after_seconds') }} * interval '1 second'
    -- of what left the list before it began no score will come
    where not event.has_outrights and event.status <> 'gone_early'
        and not exists (
            select 1 from {{ ref('scores') }} as s
            where s.event_id = event.event_id and s.completed and s.captured_at <= batch.scheduled_at
        )
) as results
where batch.scheduled_at >= {{ kept_since() }}
