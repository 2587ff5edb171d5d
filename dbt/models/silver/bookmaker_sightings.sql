{{ config(
    row_key=['exchange_id', 'bookmaker_key'],
    scope=rows_of_pending(),
    indexes=[{'columns': ['bookmaker_key', 'captured_at']}],
) }}
-- Every bookmaker that an admitted answer shows, once per answer.
select
    sightings.exchange_id,
    book.key as bookmaker_key,
    min(sightings.place) as place,
    min(sightings.body_sha256) as body_sha256,
    min(sightings.captured_at) as captured_at,
    min(book.value) as title
from {{ ref('event_sightings') }} as sightings
cross join lateral jsonb_each_text(sightings.books) as book
where {{ rows_of_pending('sightings', source('ops', 'pending')) }}
group by sightings.exchange_id, book.key
