{#- The pending answers of one endpoint that are admitted; `document` is the answer itself, without the historical envelope and
    without the elements that are held back. -#}
{% macro pending_answers(endpoint) %}
select
    exchanges.exchange_id,
    exchanges.endpoint,
    exchanges.place,
    exchanges.body_sha256,
    batches.scheduled_at as moment_at,
    exchanges.captured_at,
    exchanges.event_id as asked_event_id,
    coalesce({{ json_member(json_member('exchanges.request', 'params'), 'oddsFormat') }} #>> '{}', 'decimal') as odds_format,
    {% if endpoint.startswith('historical') -%}
    {{ json_member(admitted_part('documents.document', 'pending.held'), 'data') }} as document
    {%- else -%}
    {{ admitted_part('documents.document', 'pending.held') }} as document
    {%- endif %}
from {{ source('ops', 'pending') }} as pending
join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = pending.exchange_id
join {{ source('bronze', 'batches') }} as batches on batches.batch_id = exchanges.batch_id
join {{ source('bronze', 'documents') }} as documents
    on documents.body_sha256 = exchanges.body_sha256 and documents.month = {{ month_of('exchanges.captured_at') }}
where pending.admitted and exchanges.endpoint = '{{ endpoint }}'
{% endmacro %}


{#- An odds answer, one row per outcome. Outer joins all the way: an event without books, a book without markets and a
    market without outcomes keep a row, with nulls below. `single` answers hold one event instead of a list. -#}
{% macro stage_odds(endpoint, single=false) %}
with answers as (
    {{ pending_answers(endpoint) }}
),

events as (
    select
        answers.*,
        event.item as event
    from answers
    {{ each_element('jsonb_build_array(answers.document)' if single else 'answers.document', 'event') }}
    offset 0
),

books as (
    select
        events.*,
        book.item as book,
        book.ordinal as book_ordinal
    from events
    {{ each_element(json_member('events.event', 'bookmakers'), 'book') }}
    where events.event is not null
    offset 0
),

markets as (
    select
        books.*,
        market.item as market,
        market.ordinal as market_ordinal
    from books
    {{ each_element(json_member('books.book', 'markets'), 'market') }}
    offset 0
),

outcomes as (
    select
        markets.*,
        outcome.item as outcome,
        outcome.ordinal as outcome_ordinal
    from markets
    {{ each_element(json_member('markets.market', 'outcomes'), 'outcome') }}
    offset 0
)

select
    exchange_id,
    endpoint,
    place,
    body_sha256,
    moment_at,
    captured_at,
    odds_format,
    {{ json_text('event', 'id') }} as event_id,
    {{ json_text('event', 'sport_key') }} as sport_key,
    {{ json_text('event', 'sport_title') }} as sport_title,
    {{ to_time(json_text('event', 'commence_time')) }} as commence_time,
    {{ json_text('event', 'home_team') }} as home_team,
    {{ json_text('event', 'away_team') }} as away_team,
    coalesce(cast({{ json_text('event', 'has_outrights') }} as boolean), false) as has_outrights,
    {{ json_text('book', 'key') }} as bookmaker_key,
    {{ json_text('book', 'title') }} as bookmaker_title,
    {{ json_text('market', 'key') }} as market_key,
    -- the market's own time is the better one; some answers have only the book's, some none
    {{ to_time("coalesce(" ~ json_text('market', 'last_update') ~ ", " ~ json_text('book', 'last_update') ~ ")") }} as last_update,
    {{ json_text('outcome', 'name') }} as outcome_name,
    {{ json_text('outcome', 'description') }} as description,
    cast({{ json_text('outcome', 'price') }} as numeric(14, 8)) as price_native,
    cast({{ json_text('outcome', 'point') }} as numeric(8, 3)) as point,
    {{ json_text('outcome', 'sid') }} as sid,
    {{ json_text('outcome', 'link') }} as link,
    cast({{ json_text('outcome', 'bet_limit') }} as numeric(14, 2)) as bet_limit,
    cast({{ json_text('outcome', 'multiplier') }} as numeric(14, 8)) as multiplier,
    book_ordinal,
    market_ordinal,
    outcome_ordinal
from outcomes
{% endmacro %}


{#- An answer that lists events without odds, one row per event. -#}
{% macro stage_events(endpoint, single=false) %}
with answers as (
    {{ pending_answers(endpoint) }}
)

select
    answers.exchange_id,
    answers.endpoint,
    answers.place,
    answers.body_sha256,
    answers.moment_at,
    answers.captured_at,
    {{ json_text('event.item', 'id') }} as event_id,
    {{ json_text('event.item', 'sport_key') }} as sport_key,
    {{ json_text('event.item', 'sport_title') }} as sport_title,
    {{ to_time(json_text('event.item', 'commence_time')) }} as commence_time,
    {{ json_text('event.item', 'home_team') }} as home_team,
    {{ json_text('event.item', 'away_team') }} as away_team,
    coalesce(cast({{ json_text('event.item', 'has_outrights') }} as boolean), false) as has_outrights
from answers
{{ each_element('jsonb_build_array(answers.document)' if single else 'answers.document', 'event') }}
where event.item is not null
{% endmacro %}
