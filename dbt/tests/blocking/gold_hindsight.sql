{%- set tables = ['closings', 'closing_consensus', 'clv', 'outcome_grades', 'calibration_observations', 'quotes_sampled'] -%}
-- What is stored of events that began, of due events and of those that the run touched: one row per broken rule and row.
with due as materialized (select due.event_id, due.is_reached from {{ source('ops', 'due_events') }} as due),

looked_at as materialized (
    select e.event_id, e.start_at, {{ is_reached('e') }} as is_reached
    from (
        select due.event_id from due
        union
        select touched.event_id from {{ source('ops', 'touched_events') }} as touched
    ) as those
    join {{ ref('events') }} as e on e.event_id = those.event_id
    where e.first_seen_at >= {{ kept_since() }}
),

quoted as materialized (
    select looked_at.event_id, looked_at.start_at, looked_at.is_reached, first_row.series_id
    from looked_at
    join due on due.event_id = looked_at.event_id
    cross join lateral {{ first_rows_of('looked_at.event_id', ['series_id', 'valid_from']) }} as first_row
    where first_row.valid_from <= looked_at.start_at
)

select
    'hindsight: what has not begun, or is no event, has none' as rule,
    concat_ws(' ', stored.table_name, due.event_id) as key,
    cast(stored.row_count as text) as detail
from due
cross join lateral (
    {%- for table in tables %}
    select '{{ table }}' as table_name, count(*) as row_count from {{ ref(table) }} as t where t.event_id = due.event_id
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
) as stored
where stored.row_count > 0
    and not exists (select 1 from looked_at where looked_at.event_id = due.event_id and looked_at.is_reached)

union all

select
    'hindsight: each series quoted by the start of what has begun has one closing',
    concat_ws(' ', quoted.event_id, quoted.series_id),
    cast(quoted.start_at as text)
from quoted
where quoted.is_reached
    and not exists (
        select 1 from {{ ref('closings') }} as c
        where c.series_id = quoted.series_id and c.event_id = quoted.event_id and c.start_at = quoted.start_at
    )

union all

select
    'hindsight: a touched event that has begun has closings, where it is quoted',
    looked_at.event_id,
    cast(looked_at.start_at as text)
from looked_at
where looked_at.is_reached
    and exists (
        select 1 from {{ ref('price_history') }} as h
        where h.event_id = looked_at.event_id and h.line_rank = 1 and h.price_side = 'back' and h.valid_from <= looked_at.start_at
    )
    and not exists (
        select 1 from {{ ref('closings') }} as c where c.event_id = looked_at.event_id and c.start_at = looked_at.start_at
    )

union all

select
    'game_lines: a game has one row, with its start and status',
    e.event_id,
    concat_ws(' ', e.start_at, e.status)
from looked_at
join {{ ref('events') }} as e on e.event_id = looked_at.event_id
where e.home_team is not null and e.away_team is not null and not e.has_outrights
    and not exists (
        select 1 from {{ ref('game_lines') }} as g
        where g.event_id = e.event_id and g.start_at = e.start_at and g.status = e.status and g.sport_key = e.sport_key
            and (g.h2h_close_status <> 'provisional' or not looked_at.is_reached or e.start_is_suspect)
    )
