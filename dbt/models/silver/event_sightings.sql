{{ config(
    row_key=['exchange_id', 'event_id', 'captured_at'],
    scope=rows_of_pending(),
    by_month=true,
    indexes=[{'columns': ['event_id', 'captured_at']}, {'columns': ['sport_key', 'captured_at']}],
    when_made=["create index on silver.event_sightings (event_id, captured_at) where source = 'simulated'"],
) }}
-- Every event that an admitted answer shows, once per answer, with the books and markets it shows for it.
with markets_shown as (
    select * from {{ staged('stg_odds', outcomes=false) }} as odds
    union all
    select * from {{ staged('stg_event_odds', outcomes=false) }} as event_odds
    union all
    select * from {{ staged('stg_historical_odds', outcomes=false) }} as historical_odds
    union all
    select * from {{ staged('stg_historical_event_odds', outcomes=false) }} as historical_event_odds
),

with_books as (
    select
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, has_outrights,
        coalesce(
            jsonb_object_agg(bookmaker_key, bookmaker_title order by bookmaker_key, bookmaker_title) filter (where bookmaker_key is not null), '{}'
        ) as books,
        coalesce(
            array_agg(distinct bookmaker_key || '|' || market_key) filter (where market_key is not null), '{}'
        ) as book_markets
    from markets_shown
    group by
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, has_outrights
),

market_lists as (
    select
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, has_outrights,
        coalesce(
            jsonb_object_agg(bookmaker_key, bookmaker_title order by bookmaker_key, bookmaker_title) filter (where bookmaker_key is not null), '{}'
        ) as books
    from {{ staged('stg_event_markets') }} as market_rows
    group by
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, has_outrights
),

without_odds as (
    select
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, has_outrights
    from {{ staged('stg_events') }} as events
    union all
    select
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, has_outrights
    from {{ staged('stg_historical_events') }} as historical_events
    union all
    select
        exchange_id, endpoint, place, body_sha256, moment_at, captured_at, event_id, sport_key, sport_title,
        commence_time, home_team, away_team, false as has_outrights
    from {{ staged('stg_scores') }} as score_rows
),

sighted as (
    select *, true as shows_odds from with_books
    union all
    select *, cast('{}' as text[]) as book_markets, false as shows_odds from market_lists
    union all
    select *, cast('{}' as jsonb) as books, cast('{}' as text[]) as book_markets, false as shows_odds from without_odds
)

select
    sighted.exchange_id,
    sighted.event_id,
    sighted.endpoint,
    sighted.place,
    sighted.body_sha256,
    sighted.moment_at,
    sighted.captured_at,
    sighted.sport_key,
    sighted.sport_title,
    sighted.commence_time,
    sighted.home_team,
    sighted.away_team,
    sighted.has_outrights,
    sighted.books,
    sighted.book_markets,
    sighted.shows_odds,
    -- each kind of source has its own idea of the start; at one time they are read in this order
    case
        when sighted.endpoint in ('events', 'historical_events') then 1
        when sighted.endpoint in ('odds', 'historical_odds') then 2
        when sighted.endpoint in ('event_odds', 'historical_event_odds') then 3
        when sighted.endpoint = 'event_markets' then 4
        else 5
    end as source_rank,
    ops.source_of(batches.source, exchanges.headers) as source
from sighted
join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = sighted.exchange_id
join {{ source('bronze', 'batches') }} as batches on batches.batch_id = exchanges.batch_id
