{{ config(
    row_key=['exchange_id', 'participant_id', 'captured_at'],
    scope=rows_of_pending(),
    by_month=true,
    indexes=[{'columns': ['participant_id', 'captured_at']}],
) }}
-- Every participant that an admitted answer lists for a sport.
select
    exchange_id,
    participant_id,
    min(sport_key) as sport_key,
    min(captured_at) as captured_at,
    min(full_name) as full_name
from {{ staged('stg_participants') }} as staged
group by exchange_id, participant_id
