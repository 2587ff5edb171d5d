{{ config(materialized='ephemeral') }}
with answers as (
    {{ pending_answers('participants') }}
)

select
    answers.exchange_id,
    answers.endpoint,
    answers.place,
    answers.body_sha256,
    answers.moment_at,
    answers.captured_at,
    exchanges.sport_key,
    {{ json_text('participant.item', 'id') }} as participant_id,
    {{ json_text('participant.item', 'full_name') }} as full_name
from answers
join {{ source('bronze', 'exchanges') }} as exchanges on exchanges.exchange_id = answers.exchange_id
{{ each_element('answers.document', 'participant') }}
where participant.item is not null
