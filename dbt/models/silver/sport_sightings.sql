{{ config(
    row_key=['exchange_id', 'sport_key', 'is_catalogue'],
    scope=rows_of_pending(),
    indexes=[{'columns': ['sport_key', 'is_catalogue', 'captured_at']}],
) }}
-- Every sport that an admitted answer names: the catalogue's own entries, and the titles that events carry.
with catalogue as (
    select
        exchange_id, sport_key, place, body_sha256, captured_at, sport_title, sport_group, description, is_active, has_outrights,
        true as is_catalogue
    from {{ staged('stg_sports') }} as staged
),

of_events as (
    select
        sightings.exchange_id,
        sightings.sport_key,
        min(sightings.place) as place,
        min(sightings.body_sha256) as body_sha256,
        min(sightings.captured_at) as captured_at,
        min(sightings.sport_title) as sport_title
    from {{ ref('event_sightings') }} as sightings
    where {{ rows_of_pending('sightings', source('ops', 'pending')) }}
    group by sightings.exchange_id, sightings.sport_key
)

select
    exchange_id, sport_key, place, body_sha256, captured_at, sport_title, sport_group, description, is_active, has_outrights, is_catalogue
from catalogue
union all
select
    exchange_id, sport_key, place, body_sha256, captured_at, sport_title,
    null as sport_group, null as description, null as is_active, null as has_outrights, false as is_catalogue
from of_events
