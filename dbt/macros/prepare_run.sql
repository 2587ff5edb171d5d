{#-
  What the run at hand adds or takes away, and what that touches. It runs before the models, in their transaction where
  there is one, and is the only place that looks at the ledger, so that the models' SQL is the same text for every batch.

  pending         answers whose admission, or that of an element, differs from what is applied (of ops.run_batches, or of all that are not withheld)
  touched_events  the events that a pending answer shows, and those that it covers without showing them although something
                  of theirs was open at its time, and those that left the list early and are missing in it still when games as old
                  as they leave; each with the time from which its rows are computed anew (tail_from).
                  Gold before that time depends on earlier answers only, so it stays. Before seen_from no answer shows it.
                  Of one that is_whole all series and lines are looked at (lines.sql); touched_series and touched_lines are
                  found with price_history.
  In a full refresh, or where there is no gold yet, all admitted answers are pending and all events touched from the beginning.
-#}
{% macro prepare_run() %}
{%- if execute and flags.WHICH in ('run', 'build') -%}
{%- set gold = adapter.get_relation(database=target.database, schema='gold', identifier='price_history') -%}
{%- set anew = flags.FULL_REFRESH or gold is none -%}
delete from ops.pending;
delete from ops.touched_events;
delete from ops.row_changes;
delete from ops.touched_series;
delete from ops.touched_lines;
delete from ops.due_events;
delete from ops.due_lines;
delete from ops.coverage_taken;
delete from ops.quotes_taken;

{% if anew -%}
update ops.ledger set applied = false where applied;
{%- endif %}

insert into ops.pending (exchange_id, admitted, captured_at, held)
select ledger.exchange_id, ledger.admitted, exchanges.captured_at, ledger.held
from ops.ledger as ledger
join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id
join ops.batch_states as states on states.batch_id = ledger.batch_id
where not ledger.is_settled
    and case
        when exists (select 1 from ops.run_batches)
            then ledger.batch_id in (select run_batches.batch_id from ops.run_batches)
                {%- if anew %} or states.state = 'published'{% endif %}
        else states.state <> 'withheld'
    end;

-- what follows is planned by how much is pending, and not by a guess
select ops.analyze_if_other('ops.pending');

{{ refuse_archived('array(select pending.captured_at from ops.pending as pending)') }}
{% if not anew -%}
{%- for model in models_by_month() %}
select ops.make_months(to_regclass('{{ model }}'), {{ months_of_pending() }});
{%- endfor %}

-- what silver holds of them is about to go, or to come in otherwise
insert into ops.coverage_taken (sport_key, event_id, moment_at, captured_at, markets, books, commence_from, commence_to, held_back)
select c.sport_key, c.event_id, c.moment_at, c.captured_at, c.markets, c.books, c.commence_from, c.commence_to, c.held_back
from silver.coverage as c
where {{ rows_of_pending('c') }};

insert into ops.quotes_taken (event_id, quote_at)
select q.event_id, min(q.quote_at)
from silver.quotes as q
where q.quote_at is not null and {{ rows_of_pending('q') }}
group by q.event_id;
{%- endif %}

insert into ops.touched_events (event_id, tail_from, answers)
with pending as materialized (
    select exchanges.exchange_id, exchanges.endpoint, exchanges.body_sha256,
        {{ month_of('exchanges.captured_at') }} as month,
        exchanges.coverage ->> 'sport' as sport_key,
        case jsonb_typeof(exchanges.coverage -> 'events')
            when 'array' then array(select jsonb_array_elements_text(exchanges.coverage -> 'events'))
        end as event_ids,
        array(select jsonb_array_elements_text(exchanges.coverage -> 'markets')) as market_keys,
        exchanges.captured_at,
        -- a price may be dated anew when another answer of its moment comes or goes
        (
            select min(siblings.captured_at)
            from bronze.batches as moments
            join bronze.exchanges as siblings on siblings.batch_id = moments.batch_id
            where moments.scheduled_at = batches.scheduled_at
        ) as tail_from
    from ops.pending as pending
    join bronze.exchanges as exchanges on exchanges.exchange_id = pending.exchange_id
    join bronze.batches as batches on batches.batch_id = exchanges.batch_id
),
shown as (
    select
        event.item ->> 'id' as event_id,
        pending.tail_from,
        case when pending.market_keys <> '{}' then pending.exchange_id end as speaking
    from pending
    join bronze.documents as documents on documents.body_sha256 = pending.body_sha256 and documents.month = pending.month
    cross join lateral (
        select case when pending.endpoint like 'historical%' then documents.document -> 'data' else documents.document end as events
    ) as answer
    cross join lateral (
        select item
        from jsonb_array_elements(
            case jsonb_typeof(answer.events) when 'object' then jsonb_build_array(answer.events) when 'array' then answer.events else '[]' end
        ) as item
        offset 0
    ) as event
    where {{ is_of_events('pending') }}
        -- of what is held back some was in before, or comes in now; what has no id was never in
        and jsonb_typeof(event.item -> 'id') = 'string' and jsonb_typeof(event.item -> 'sport_key') = 'string'
)
{%- if not anew %},
missing_quotes as (
    select history.event_id, pending.tail_from, pending.exchange_id as speaking
    from pending
    cross join lateral (
        select distinct open_rows.event_id from gold.price_history as open_rows
        where open_rows.sport_key = pending.sport_key and open_rows.market_key = any (pending.market_keys)
            and open_rows.valid_to is null
        union
        select spanning.event_id from gold.price_history as spanning
        where spanning.sport_key = pending.sport_key and spanning.valid_to >= pending.tail_from
        union
        {{ moved_with_rows('gold.price_history') }}
    ) as history
    where pending.event_ids is null or history.event_id = any (pending.event_ids)
),
missing_listings as (
    select listings.event_id, pending.tail_from
    from pending
    cross join lateral (
        select open_rows.event_id from gold.event_listing_intervals as open_rows
        where open_rows.sport_key = pending.sport_key and open_rows.valid_to is null
        union
        select spanning.event_id from gold.event_listing_intervals as spanning
        where spanning.sport_key = pending.sport_key and spanning.valid_to >= pending.tail_from
        union
        {{ moved_with_rows('gold.event_listing_intervals') }}
    ) as listings
    where pending.event_ids is null or listings.event_id = any (pending.event_ids)
),
-- no answer of its sport's list was as late as this one, or will be without it
missing_still as (
    select early.event_id, pending.tail_from
    from pending
    cross join lateral {{ listed_span('pending.sport_key', sport_rules='silver.sport_rules') }} as span
    cross join lateral (
        select events.event_id from gold.events as events
        where events.sport_key = pending.sport_key and events.start_at <= pending.captured_at - span.listed_from
            and events.start_at > coalesce(
                {{ newest_list('pending.sport_key', before='pending.captured_at', coverage='silver.coverage') }} - span.listed_from, '-infinity'
            )
            and events.status in ('gone', 'gone_early') and events.first_seen_at >= {{ kept_since('ops.archived_months') }}
    ) as early
    where pending.event_ids is null
)
{%- endif %}
select event_id, {{ "'-infinity'" if anew else "min(tail_from)" }}, count(distinct speaking)
from (
    select event_id, tail_from, speaking from shown
    {%- if not anew %}
    union all
    select event_id, tail_from, speaking from missing_quotes
    union all
    select event_id, tail_from, null from missing_listings
    union all
    select event_id, tail_from, null from missing_still
    {%- endif %}
) as touched
group by event_id;

{% if not anew -%}
-- A moment's answers are judged together: where one reaches over the edge of a tail, the tail begins with it.
do $$
begin
    loop
        with moments as (
            select min(siblings.captured_at) as first_at, max(siblings.captured_at) as last_at
            from bronze.exchanges as late
            join bronze.batches as batches on batches.batch_id = late.batch_id
            join bronze.batches as moment_batches on moment_batches.scheduled_at = batches.scheduled_at
            join bronze.exchanges as siblings on siblings.batch_id = moment_batches.batch_id
            where late.captured_at >= (select min(touched.tail_from) from ops.touched_events as touched)
            group by batches.scheduled_at
        )
        update ops.touched_events as touched
        set tail_from = edges.first_at
        from (
            select events.event_id, min(moments.first_at) as first_at
            from ops.touched_events as events
            join moments on moments.first_at < events.tail_from and moments.last_at >= events.tail_from
            group by events.event_id
        ) as edges
        where edges.event_id = touched.event_id;
        exit when not found;
    end loop;
end
$$;

update ops.touched_events as touched
set seen_from = least(
        touched.tail_from,
        (select events.first_seen_at from gold.events as events where events.event_id = touched.event_id)
    ),
    is_whole = not exists (select 1 from gold.price_history as stored where stored.event_id = touched.event_id)
        or exists (
            select 1 from gold.price_history as ended where ended.event_id = touched.event_id and ended.valid_to >= touched.tail_from
        )
        -- what begins is shown then; the rows that begin themselves are found by no index
        or exists (
            select 1 from silver.event_sightings as sightings
            where sightings.event_id = touched.event_id and sightings.captured_at >= touched.tail_from and sightings.shows_odds
        );

{{ refuse_archived(
    'array(select events.first_seen_at from ops.touched_events as touched'
    ' join gold.events as events on events.event_id = touched.event_id)'
) }}
{%- endif %}

select ops.analyze_if_other('ops.touched_events');
{%- endif -%}
{% endmacro %}

{#- The events that moved to a pending answer's sport, with rows of a table in its tail: a row carries the key of its beginning. -#}
{% macro moved_with_rows(relation) -%}
select moved.event_id from silver.event_sport_keys as moved
        where moved.sport_key = pending.sport_key and moved.moved_from is not null
            and (moved.valid_to is null or moved.valid_to >= pending.tail_from)
            and exists (
                select 1 from {{ relation }} as rows_of_it
                where rows_of_it.event_id = moved.event_id
                    and (rows_of_it.valid_to is null or rows_of_it.valid_to >= pending.tail_from)
            )
{%- endmacro %}

{#- For plain dbt: what was pending is applied now. `dbt run-operation settle_run` after a build whose checks passed. -#}
{% macro settle_run() %}
{%- call statement('settle') -%}
update ops.ledger as ledger set applied = pending.admitted, applied_held = pending.held
from ops.pending as pending where pending.exchange_id = ledger.exchange_id;
delete from ops.run_batches;
{%- endcall -%}
{% do adapter.commit() %}
{% endmacro %}
