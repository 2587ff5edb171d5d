{{ config(materialized='ephemeral') }}
with answers as (
    {{ pending_answers('scores') }}
),

events as (
    select
        answers.*,
        event.item as event
    from answers
    {{ each_element('answers.document', 'event') }}
    where event.item is not null
    offset 0
),

named as (
    select
        events.*,
        -- by name, never by position; the last of a name that stands twice
        (
            select {{ json_text('score.item', 'score') }}
            from (select 1 as one) as once
            {{ each_element(json_member('events.event', 'scores'), 'score') }}
            where {{ json_text('score.item', 'name') }} = {{ json_text('events.event', 'home_team') }}
            order by score.ordinal desc
            limit 1
        ) as home_score_text,
        (
            select {{ json_text('score.item', 'score') }}
            from (select 1 as one) as once
            {{ each_element(json_member('events.event', 'scores'), 'score') }}
            where {{ json_text('score.item', 'name') }} = {{ json_text('events.event', 'away_team') }}
            order by score.ordinal desc
            limit 1
        ) as away_score_text
    from events
)

select
    exchange_id,
    endpoint,
    place,
    body_sha256,
    moment_at,
    captured_at,
    {{ json_text('event', 'id') }} as event_id,
    {{ json_text('event', 'sport_key') }} as sport_key,
    {{ json_text('event', 'sport_title') }} as sport_title,
    {{ to_time(json_text('event', 'commence_time')) }} as commence_time,
    {{ json_text('event', 'home_team') }} as home_team,
    {{ json_text('event', 'away_team') }} as away_team,
    cast({{ json_text('event', 'completed') }} as boolean) as completed,
    home_score_text,
    away_score_text,
    -- a score is sent as text; what is no plain number stays text only
    case when home_score_text ~ '^[0-9]{1,6}([.][0-9]{1,2})?$' then cast(home_score_text as numeric(9, 2)) end as home_score,
    case when away_score_text ~ '^[0-9]{1,6}([.][0-9]{1,2})?$' then cast(away_score_text as numeric(9, 2)) end as away_score,
    {{ to_time(json_text('event', 'last_update')) }} as last_update
from named
