{{ config(materialized='ephemeral') }}
with answers as (
    {{ pending_answers('event_markets') }}
),

books as (
    select
        answers.*,
        book.item as book
    from answers
    {{ each_element(json_member('answers.document', 'bookmakers'), 'book') }}
    offset 0
)

select
    books.exchange_id,
    books.endpoint,
    books.place,
    books.body_sha256,
    books.moment_at,
    books.captured_at,
    {{ json_text('books.document', 'id') }} as event_id,
    {{ json_text('books.document', 'sport_key') }} as sport_key,
    {{ json_text('books.document', 'sport_title') }} as sport_title,
    {{ to_time(json_text('books.document', 'commence_time')) }} as commence_time,
    {{ json_text('books.document', 'home_team') }} as home_team,
    {{ json_text('books.document', 'away_team') }} as away_team,
    coalesce(cast({{ json_text('books.document', 'has_outrights') }} as boolean), false) as has_outrights,
    {{ json_text('books.book', 'key') }} as bookmaker_key,
    {{ json_text('books.book', 'title') }} as bookmaker_title,
    {{ json_text('market.item', 'key') }} as market_key,
    {{ to_time(json_text('market.item', 'last_update')) }} as last_update
from books
{{ each_element(json_member('books.book', 'markets'), 'market') }}
