{{ config(
    row_key=['bookmaker_key'],
    scope="t.bookmaker_key in (select s.bookmaker_key from silver.bookmaker_sightings as s join ops.pending as p on p.exchange_id = s.exchange_id)
        or exists (select 1 from ops.pending as p where not p.admitted)",
    scope_key='bookmaker_key',
) }}
-- One row per bookmaker key that any answer showed.
with keys as (
    select distinct s.bookmaker_key from {{ ref('bookmaker_sightings') }} as s
    where s.exchange_id = any (array(select p.exchange_id from {{ source('ops', 'pending') }} as p))
    union
    -- an answer that is withdrawn may have shown any of them
    select standing.bookmaker_key from {{ this }} as standing
    where exists (select 1 from {{ source('ops', 'pending') }} as p where not p.admitted)
)

select keys.bookmaker_key, latest.title, earliest.captured_at as first_seen_at
from keys
cross join lateral (
    select s.captured_at from {{ ref('bookmaker_sightings') }} as s where s.bookmaker_key = keys.bookmaker_key
    order by s.captured_at limit 1
) as earliest
cross join lateral (
    select s.title from {{ ref('bookmaker_sightings') }} as s where s.bookmaker_key = keys.bookmaker_key
    order by s.captured_at desc, s.place, s.body_sha256, s.exchange_id limit 1
) as latest
