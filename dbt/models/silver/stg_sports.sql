{{ config(materialized='ephemeral') }}
with answers as (
    {{ pending_answers('sports') }}
)

select
    answers.exchange_id,
    answers.endpoint,
    answers.place,
    answers.body_sha256,
    answers.moment_at,
    answers.captured_at,
    {{ json_text('sport.item', 'key') }} as sport_key,
    {{ json_text('sport.item', 'group') }} as sport_group,
    {{ json_text('sport.item', 'title') }} as sport_title,
    {{ json_text('sport.item', 'description') }} as description,
    cast({{ json_text('sport.item', 'active') }} as boolean) as is_active,
    cast({{ json_text('sport.item', 'has_outrights') }} as boolean) as has_outrights
from answers
{{ each_element('answers.document', 'sport') }}
where sport.item is not null
