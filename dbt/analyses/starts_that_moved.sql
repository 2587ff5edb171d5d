-- Games of the newest day whose start moved: from when to when, whether it was believed then, and which start is believed in the end, on what.
select
    event.sport_key,
    event.home_team,
    event.away_team,
    changes.captured_at,
    changes.old_start,
    changes.new_start,
    changes.accepted,
    event.start_at,
    event.start_basis,
    event.start_is_suspect
from {{ ref('events') }} as event
join {{ ref('event_start_changes') }} as changes
    on changes.event_id = event.event_id
    and changes.old_start is not null
where event.start_at >= (select max(captured_at) from {{ ref('coverage') }}) - interval '1 day'
order by changes.captured_at, event.event_id, changes.exchange_id
