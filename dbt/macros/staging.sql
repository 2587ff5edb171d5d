{#-
  Staging: what the admitted answers of one endpoint say, flattened; typed, and otherwise as they were sent.

  The same text serves two ends. The view `silver.stg_<endpoint>` shows all answers whose rows silver holds (`applied`); a stored
  model takes the pending ones into its own statement (`pending`), by `staged`. No level is fenced off from the next, so that
  what asks a view for one answer or batch comes to its body by index.
-#}

{#- The pending rows of a staging model, as a subquery; its view is a parent of the model that reads them so. Of odds without
    `outcomes` it is a row per market, with its event's and book's columns alone: half of what is to be read. -#}
{% macro staged(name, outcomes=true) -%}
    {%- set relation = ref(name) -%}
    {%- if relation.is_cte -%}
        {#- a unit test gives them -#}
        {{ relation }}
    {%- else -%}
(
    {{ stage(name.removeprefix('stg_'), 'pending', outcomes) }}
)
    {%- endif -%}
{%- endmacro %}

{#- What some answers of an endpoint say; `which`: `applied` or `pending`. -#}
{% macro stage(endpoint, which, outcomes=true) -%}
    {%- if endpoint in ('odds', 'event_odds', 'historical_odds', 'historical_event_odds') -%}
        {{ stage_odds(endpoint, which, single=endpoint.endswith('event_odds'), outcomes=outcomes) }}
    {%- elif endpoint in ('events', 'historical_events') -%}
        {{ stage_events(endpoint, which) }}
    {%- elif endpoint == 'scores' -%}
        {{ stage_scores(which) }}
    {%- elif endpoint == 'sports' -%}
        {{ stage_sports(which) }}
    {%- elif endpoint == 'participants' -%}
        {{ stage_participants(which) }}
    {%- elif endpoint == 'event_markets' -%}
        {{ stage_event_markets(which) }}
    {%- elif endpoint == 'bets' -%}
        {{ stage_bets(which) }}
    {%- elif endpoint == 'predictions' -%}
        {{ stage_predictions(which) }}
    {%- else -%}
        {{ exceptions.raise_compiler_error("no staging of the endpoint " ~ endpoint) }}
    {%- endif -%}
{%- endmacro %}

{#- The answers of one endpoint that are pending and admitted, or applied; `document` is the answer itself, without the historical
    envelope and without the elements that are held back. -#}
{% macro answers_of(endpoint, which) %}
{%- set held = 'told.applied_held' if which == 'applied' else 'told.held' -%}
select
    exchanges.exchange_id, exchanges.batch_id, exchanges.endpoint, exchanges.place, exchanges.body_sha256,
    batches.scheduled_at as moment_at, exchanges.captured_at,
    {% if endpoint == 'participants' -%}
    exchanges.sport_key as asked_sport_key,
    {% endif -%}
    coalesce({{ json_member(json_member('exchanges.request', 'params'), 'oddsFormat') }} #>> '{}', 'decimal') as odds_format,
    {% if endpoint.startswith('historical') -%}
    {{ json_member(admitted_part('documents.document', held), 'data') }} as document
    {%- else -%}
    {{ admitted_part('documents.document', held) }} as document
    {%- endif %}
{%- if which == 'applied' %}
from {{ source('ops', 'ledger') }} as told
-- by the batch too, so that a batch's answers are found from either side
join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = told.exchange_id and exchanges.batch_id = told.batch_id
{%- else %}
from {{ source('ops', 'pending') }} as told
join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = told.exchange_id
{%- endif %}
join {{ source('bronze', 'batches') }} as batches on batches.batch_id = exchanges.batch_id
join {{ source('bronze', 'documents') }} as documents
    on documents.body_sha256 = exchanges.body_sha256 and documents.month = {{ month_of('exchanges.captured_at') }}
where told.{{ 'applied' if which == 'applied' else 'admitted' }} and exchanges.endpoint = '{{ endpoint }}'
{%- endmacro %}

{#- What each staged row says of its answer; `row` has the columns of answers_of. -#}
{% macro answer_columns(row) -%}
{% for column in ['exchange_id', 'batch_id', 'endpoint', 'place', 'body_sha256', 'moment_at', 'captured_at'] -%}
{{ row }}.{{ column }}{{ ",\n    " if not loop.last }}
{%- endfor %}
{%- endmacro %}

{#- What each staged row says of its event; `event` is the event's object in the answer. -#}
{% macro event_columns(event) -%}
{{ json_text(event, 'id') }} as event_id,
    {{ json_text(event, 'sport_key') }} as sport_key,
    {{ json_text(event, 'sport_title') }} as sport_title,
    {{ to_time(json_text(event, 'commence_time')) }} as commence_time,
    {{ json_text(event, 'home_team') }} as home_team,
    {{ json_text(event, 'away_team') }} as away_team
{%- endmacro %}

{#- An odds answer, one row per outcome. Outer joins all the way: an event without books, a book without markets and a
    market without outcomes keep a row, with nulls below. `single` answers hold one event instead of a list. Without `outcomes`
    one row per market, and neither their columns nor the market's time. -#}
{% macro stage_odds(endpoint, which, single=false, outcomes=true) -%}
{%- set level = 'outcomes' if outcomes else 'markets' -%}
with answers as ({{ answers_of(endpoint, which) }}),

events as (
    select answers.*, event.item as event, event.ordinal as event_ordinal
    from answers
    {{ each_element('jsonb_build_array(answers.document)' if single else 'answers.document', 'event') }}
    where event.item is not null
),

books as (
    select events.*, book.item as book, book.ordinal as book_ordinal
    from events
    {{ each_element(json_member('events.event', 'bookmakers'), 'book') }}
),

markets as (
    select books.*, market.item as market, market.ordinal as market_ordinal
    from books
    {{ each_element(json_member('books.book', 'markets'), 'market') }}
)
{%- if outcomes %},

outcomes as (
    select markets.*, outcome.item as outcome, outcome.ordinal as outcome_ordinal
    from markets
    {{ each_element(json_member('markets.market', 'outcomes'), 'outcome') }}
)
{%- endif %}

select
    {{ answer_columns(level) }},
    odds_format, event_ordinal,
    {{ event_columns('event') }},
    coalesce(cast({{ json_text('event', 'has_outrights') }} as boolean), false) as has_outrights,
    book_ordinal,
    {{ json_text('book', 'key') }} as bookmaker_key,
    {{ json_text('book', 'title') }} as bookmaker_title,
    market_ordinal,
    {{ json_text('market', 'key') }} as market_key
    {%- if outcomes %},
    -- the market's own time is the better one; some answers have only the book's, some none
    {{ to_time("coalesce(" ~ json_text('market', 'last_update') ~ ", " ~ json_text('book', 'last_update') ~ ")") }} as last_update,
    outcome_ordinal,
    {{ json_text('outcome', 'name') }} as outcome_name,
    {{ json_text('outcome', 'description') }} as description,
    cast({{ json_text('outcome', 'price') }} as numeric(14, 8)) as price_native,
    cast({{ json_text('outcome', 'point') }} as numeric(8, 3)) as point,
    {{ json_text('outcome', 'sid') }} as sid,
    {{ json_text('outcome', 'link') }} as link,
    cast({{ json_text('outcome', 'bet_limit') }} as numeric(14, 2)) as bet_limit,
    cast({{ json_text('outcome', 'multiplier') }} as numeric(14, 8)) as multiplier
    {%- endif %}
from {{ level }}
{%- endmacro %}

{#- An answer that lists events without odds, one row per event. -#}
{% macro stage_events(endpoint, which) -%}
with answers as ({{ answers_of(endpoint, which) }})

select
    {{ answer_columns('answers') }},
    event.ordinal as event_ordinal,
    {{ event_columns('event.item') }},
    coalesce(cast({{ json_text('event.item', 'has_outrights') }} as boolean), false) as has_outrights
from answers
{{ each_element('answers.document', 'event') }}
where event.item is not null
{%- endmacro %}

{#- An answer of scores, one row per event. -#}
{% macro stage_scores(which) -%}
with answers as ({{ answers_of('scores', which) }}),

events as (
    select answers.*, event.item as event, event.ordinal as event_ordinal
    from answers
    {{ each_element('answers.document', 'event') }}
    where event.item is not null
),

named as (
    select events.*, home.score as home_score_text, away.score as away_score_text
    from events
    {{ score_of('events.event', 'home_team') }} as home on true
    {{ score_of('events.event', 'away_team') }} as away on true
)

select
    {{ answer_columns('named') }},
    event_ordinal,
    {{ event_columns('event') }},
    cast({{ json_text('event', 'completed') }} as boolean) as completed,
    home_score_text, away_score_text,
    -- a score is sent as text; what is no plain number stays text only
    cast(case when home_score_text ~ '^[0-9]{1,6}([.][0-9]{1,2})?$' then home_score_text end as numeric(9, 2)) as home_score,
    cast(case when away_score_text ~ '^[0-9]{1,6}([.][0-9]{1,2})?$' then away_score_text end as numeric(9, 2)) as away_score,
    {{ to_time(json_text('event', 'last_update')) }} as last_update
from named
{%- endmacro %}

{#- Joins one side's score, by name, never by position; the last of a name that stands twice. -#}
{% macro score_of(event, side) -%}
left join lateral (
        select {{ json_text('score.item', 'score') }} as score
        from (select 1 as one) as once
        {{ each_element(json_member(event, 'scores'), 'score') }}
        where {{ json_text('score.item', 'name') }} = {{ json_text(event, side) }}
        order by score.ordinal desc limit 1
    )
{%- endmacro %}

{#- An answer of sports, one row per sport of the catalogue. -#}
{% macro stage_sports(which) -%}
with answers as ({{ answers_of('sports', which) }})

select
    {{ answer_columns('answers') }},
    sport.ordinal as sport_ordinal,
    {{ json_text('sport.item', 'key') }} as sport_key,
    {{ json_text('sport.item', 'group') }} as sport_group,
    {{ json_text('sport.item', 'title') }} as sport_title,
    {{ json_text('sport.item', 'description') }} as description,
    cast({{ json_text('sport.item', 'active') }} as boolean) as is_active,
    cast({{ json_text('sport.item', 'has_outrights') }} as boolean) as has_outrights
from answers
{{ each_element('answers.document', 'sport') }}
where sport.item is not null
{%- endmacro %}

{#- An answer of participants, one row per participant; its sport is the one that was asked for. -#}
{% macro stage_participants(which) -%}
with answers as ({{ answers_of('participants', which) }})

select
    {{ answer_columns('answers') }},
    answers.asked_sport_key as sport_key,
    participant.ordinal as participant_ordinal,
    {{ json_text('participant.item', 'id') }} as participant_id,
    {{ json_text('participant.item', 'full_name') }} as full_name
from answers
{{ each_element('answers.document', 'participant') }}
where participant.item is not null
{%- endmacro %}

{#- An answer of event markets, one row per market that a book offers; an event without books and a book without markets keep a
    row, with nulls below. -#}
{% macro stage_event_markets(which) -%}
with answers as ({{ answers_of('event_markets', which) }}),

events as (
    select answers.*, event.item as event
    from answers
    {{ each_element('jsonb_build_array(answers.document)', 'event') }}
    where event.item is not null
),

books as (
    select events.*, book.item as book, book.ordinal as book_ordinal
    from events
    {{ each_element(json_member('events.event', 'bookmakers'), 'book') }}
)

select
    {{ answer_columns('books') }},
    {{ event_columns('books.event') }},
    coalesce(cast({{ json_text('books.event', 'has_outrights') }} as boolean), false) as has_outrights,
    books.book_ordinal,
    {{ json_text('books.book', 'key') }} as bookmaker_key,
    {{ json_text('books.book', 'title') }} as bookmaker_title,
    market.ordinal as market_ordinal,
    {{ json_text('market.item', 'key') }} as market_key,
    {{ to_time(json_text('market.item', 'last_update')) }} as last_update
from books
{{ each_element(json_member('books.book', 'markets'), 'market') }}
{%- endmacro %}

{#- An imported answer of bets, one row per bet. -#}
{% macro stage_bets(which) -%}
with answers as ({{ answers_of('bets', which) }})

select
    {{ answer_columns('answers') }},
    {{ ledger_columns('bet', 'bet_id', 'placed_at') }},
    {{ json_text('bet.item', 'bookmaker_key') }} as bookmaker_key,
    cast({{ json_text('bet.item', 'price') }} as numeric(14, 8)) as price_native,
    {{ json_text('bet.item', 'odds_format') }} as odds_format,
    cast({{ json_text('bet.item', 'stake') }} as numeric(18, 8)) as stake
from answers
{{ each_element('answers.document', 'bet') }}
where bet.item is not null
{%- endmacro %}

{#- An imported answer of predictions, one row per prediction. -#}
{% macro stage_predictions(which) -%}
with answers as ({{ answers_of('predictions', which) }})

select
    {{ answer_columns('answers') }},
    {{ ledger_columns('prediction', 'prediction_id', 'made_at') }},
    cast({{ json_text('prediction.item', 'probability') }} as numeric(12, 10)) as probability
from answers
{{ each_element('answers.document', 'prediction') }}
where prediction.item is not null
{%- endmacro %}

{#- What bets and predictions say alike; `entry` is one of the answer's items, `id` and `made` name its own members. -#}
{% macro ledger_columns(entry, id, made) -%}
{{ entry }}.ordinal as {{ entry }}_ordinal,
    {{ json_text(entry ~ '.item', 'ledger') }} as ledger,
    {{ json_text(entry ~ '.item', id) }} as {{ id }},
    {{ to_time(json_text(entry ~ '.item', made)) }} as {{ made }},
    {{ json_text(entry ~ '.item', 'event_id') }} as event_id,
    {{ json_text(entry ~ '.item', 'sport_key') }} as sport_key,
    {{ json_text(entry ~ '.item', 'market') }} as market_key,
    {{ json_text(entry ~ '.item', 'description') }} as description,
    {{ json_text(entry ~ '.item', 'outcome') }} as outcome_name,
    cast({{ json_text(entry ~ '.item', 'point') }} as numeric(8, 3)) as point
{%- endmacro %}
