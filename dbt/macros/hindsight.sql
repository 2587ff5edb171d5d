{#-
  Hindsight is stored: what is known of an event once it began hangs on a start that may change long after, and is read by season.
  Such a table holds an event's rows from the first answer on that covers it at or after its start; before, a view of the same name
  and `_now` gives what would stand there. The events whose rows a run looks at are due (ops.due_events, found with events).
-#}

{#- Events of the run whose hindsight is stored, for `from`. -#}
{% macro due_events() -%}
(
    select e.*, due.is_reached
    from {{ source('ops', 'due_events') }} as due
    join {{ ref('events') }} as e on e.event_id = due.event_id
    where due.is_reached
)
{%- endmacro %}

{#- Events that have not begun, for `from`. -#}
{% macro coming_events() -%}
(
    select coming.*, false as is_reached from {{ whole_events() }} as coming
    where not {{ is_reached('coming') }}
)
{%- endmacro %}

{#- No clock: a start is reached when an answer about the event was received at or after it. -#}
{% macro is_reached(event) -%}
coalesce((select max(newest.captured_at) from {{ newest_answers(event) }} as newest) >= {{ event }}.start_at, false)
{%- endmacro %}

{#- The rows of due events, over alias `t`. -#}
{% macro rows_of_due_events() -%}
t.event_id = any (array(select due.event_id from ops.due_events as due))
{%- endmacro %}

{#- What of an event's row, as JSON, its hindsight hangs on. -#}
{% macro facts_of_hindsight(row) -%}
({{ row }} - array['commence_time_latest', 'last_seen_at', 'seen_in_play', 'start_change_count', 'status']
            || jsonb_build_object('is_unplayed', coalesce({{ row }} ->> 'status' = 'gone_early', false)))
{%- endmacro %}

{#-
  Which events are due. Stored hindsight of one depends on its facts, its final score, what was quoted until it began, and on when
  it was first asked for. So it is due where
  - the newest answer that covers it passes its start, or the time after which no score is expected, to either side,
  - its facts or its final score change,
  - an answer of the run comes before its start, or from it on one has a quote that was read before the start; or one that had is
    taken away,
  - an answer older than it may be the first that asked for one of its series.
-#}
{% macro find_due_events() -%}
insert into ops.due_events (event_id, is_reached)
with answers as materialized (
    select c.sport_key, c.event_id, c.moment_at, c.captured_at, c.markets, c.books, c.commence_from, c.commence_to, c.held_back
    from {{ ref('coverage') }} as c
    where {{ rows_of_pending('c') }}
    union all
    select taken.sport_key, taken.event_id, taken.moment_at, taken.captured_at, taken.markets, taken.books, taken.commence_from,
        taken.commence_to, taken.held_back
    from ops.coverage_taken as taken
),

-- of each sport, and event that was asked for, the newest answer of the run, and the newest other one
spans as materialized (
    select asked.sport_key, asked.event_id, asked.newest_at, coalesce(other.captured_at, '-infinity') as other_at
    from (
        select answers.sport_key, answers.event_id, max(answers.captured_at) as newest_at
        from answers group by answers.sport_key, answers.event_id
    ) as asked
    left join lateral (
        select c.captured_at from {{ ref('coverage') }} as c
        where c.sport_key = asked.sport_key and c.event_id = asked.event_id
            and c.exchange_id <> all (array(select pending.exchange_id from ops.pending as pending))
        order by c.captured_at desc limit 1
    ) as other on true
),

passed as (
    select events.event_id
    from spans
    join {{ this }} as events
        on events.sport_key = spans.sport_key and spans.event_id in ('', events.event_id)
    cross join lateral (select events.start_at + {{ parameter_interval('results_window_seconds') }} as no_score_after) as event
    where events.start_at between spans.other_at - {{ parameter_interval('results_window_seconds') }} and spans.newest_at
        and (events.start_at > spans.other_at or event.no_score_after between spans.other_at and spans.newest_at)
),

changed as (
    select changes.scope_key as event_id
    from ops.row_changes as changes
    where changes.table_name = 'gold.events'
        and {{ facts_of_hindsight('changes.old_row') }} is distinct from {{ facts_of_hindsight('changes.new_row') }}
    union
    select changes.scope_key
    from ops.row_changes as changes
    where changes.table_name = 'gold.results'
        -- a score that is not final settles nothing
        and (changes.old_row ->> 'completed' = 'true' or changes.new_row ->> 'completed' = 'true')
),

told_before as (
    select touched.event_id
    from ops.touched_events as touched
    join {{ this }} as events on events.event_id = touched.event_id
    where touched.tail_from <= events.start_at and {{ is_reached('events') }}
        -- also of a later answer than the run's: what the closing quote was worth is asked of what stood when it was received
        or exists (
            select 1
            from {{ ref('event_sightings') }} as s
            where s.event_id = touched.event_id and s.captured_at >= touched.tail_from and s.captured_at > events.start_at
                and s.shows_odds
                and exists (
                    select 1 from {{ ref('quotes') }} as q
                    where q.exchange_id = s.exchange_id and q.event_id = s.event_id and q.captured_at = s.captured_at
                        and q.quote_at <= events.start_at
                    offset 0  -- asked of one answer after the other: else all quotes of the event are read
                )
        )
        -- what is taken away may have been the closing quote, though it was received later
        or exists (
            select 1 from ops.quotes_taken as taken where taken.event_id = touched.event_id and taken.quote_at <= events.start_at
        )
),

-- answers with odds that are older than others. Two that asked as much before it, at other moments, leave it nothing to be the first of
first_asked as (
    select late.sport_key, late.event_id, min(late.captured_at) as captured_at
    from answers as late
    join spans on spans.sport_key = late.sport_key and spans.event_id = late.event_id
    where late.markets <> '{}' and late.captured_at < greatest(spans.other_at, spans.newest_at)
        and (
            select count(distinct earlier.moment_at)
            from {{ ref('coverage') }} as earlier
            where earlier.sport_key = late.sport_key and earlier.event_id = late.event_id and earlier.captured_at < late.captured_at
                and earlier.exchange_id <> all (array(select pending.exchange_id from ops.pending as pending))
                and earlier.moment_at <> late.moment_at and earlier.held_back = '{}'
                and earlier.markets @> late.markets and earlier.books @> late.books
                and coalesce(earlier.commence_from, '-infinity') <= coalesce(late.commence_from, '-infinity')
                and coalesce(earlier.commence_to, 'infinity') >= coalesce(late.commence_to, 'infinity')
        ) < 2
    group by late.sport_key, late.event_id
),

opening_after as (
    select events.event_id
    from first_asked
    join {{ this }} as events
        on events.sport_key = first_asked.sport_key and first_asked.event_id in ('', events.event_id)
        and events.start_at > first_asked.captured_at
    union
    -- those that were shown under its sport's key, and are of another now
    select moved.event_id
    from first_asked
    join {{ ref('event_sport_keys') }} as moved
        on moved.sport_key = first_asked.sport_key and moved.valid_to is not null
        and first_asked.event_id in ('', moved.event_id)
)

select due.event_id, coalesce(state.is_reached, false)
from (
    select event_id from passed
    union
    select event_id from changed
    union
    select event_id from told_before
    union
    select event_id from opening_after
) as due
left join lateral (
    select {{ is_reached('e') }} as is_reached, e.first_seen_at from {{ this }} as e where e.event_id = due.event_id
) as state on true
-- of what is archived silver is gone, and hindsight stays as it is
where coalesce(state.first_seen_at, 'infinity') >= {{ kept_since() }}
{%- endmacro %}
