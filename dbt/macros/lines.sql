{#-
  What of a touched event a run looks at. Most of what an answer says repeats the answer before it: those series are quiet, and
  left alone. Of the others the rows of price_history that change tell the lines that the tables made of it look at.
  A series whose quote became stale, or fresh again, is not quiet; its rows of stale_quotes tell the lines that tables without such
  quotes look at besides (`fresh line`, `fresh market`).
  Where something of an event began or ended in its tail before this run (a late answer, one that is taken away), it is looked
  at whole: beside rows, tables look up what the last answer said at a time, which may be another now at times that are old.
-#}

{% macro touched(by) -%}
    select event_id, tail_from, is_whole from {{ source('ops', 'touched_events') }}
    where is_whole or event_id in (select those.event_id from {{ those_touched(by) }})
{%- endmacro %}

{#- What is touched, as `those`: by series, line or market; lines and markets of which only the freshness of a quote changed are for those alone who ask by it. -#}
{% macro those_touched(by) -%}
ops.touched_{{ 'series' if by == 'series' else 'lines' }} as those{{ ' where those.is_of_price' if by in ('line', 'market') }}
{%- endmacro %}

{#- Whether a row of a touched event is looked at. `by`: series, line, or market (all lines of a market with a touched one), or `fresh line`
    or `fresh market`; `event` has its is_whole. -#}
{% macro is_looked_at(row, by, event='touched') -%}
(
            {{ event }}.is_whole
            or {% if by == 'series' -%}
            ({{ row }}.series_id, {{ row }}.line_rank) in (select those.series_id, those.line_rank from {{ those_touched(by) }})
            {%- elif by in ('line', 'fresh line') -%}
            ({{ row }}.event_id, {{ line_key(row) }}) in (select those.event_id, those.line_key from {{ those_touched(by) }})
            {%- else -%}
            ({{ row }}.event_id, {{ line_key(row, point="''") }}) in (select those.event_id, those.market_line from {{ those_touched(by) }})
            {%- endif %}
        )
{%- endmacro %}

{#- The sightings of a touched event with odds, from its tail on, for `cross join lateral`. -#}
{% macro odds_of_tail(columns) -%}
(
        select {{ columns_of('s', columns) }} from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.tail_from and s.shows_odds
        offset 0
    )
{%- endmacro %}

{#- The same of all touched events, each with the phase then known: a complete select. -#}
{% macro phased_odds_of_tails(columns) -%}
        select touched.event_id, touched.is_whole, {{ columns_of('shown', columns) }}, phase.phase_as_known
        from touched
        cross join lateral {{ odds_of_tail(columns) }} as shown
        cross join lateral {{ phase_then('touched.event_id', 'shown.captured_at') }} as phase
        -- the phase is looked up once per sighting, and not once per quote
        offset 0
{%- endmacro %}

{% macro quotes_told(exchange_id, event_id, captured_at) -%}
(
        select t.series_id, t.line_rank, t.price_native, t.odds_format, t.point, t.captured_at, t.quote_at
        from {{ ref('quotes') }} as t
        where t.exchange_id = {{ exchange_id }} and t.event_id = {{ event_id }} and t.captured_at = {{ captured_at }}
        offset 0
    )
{%- endmacro %}

{% macro find_touched_series() -%}
insert into ops.touched_series (event_id, series_id, line_rank)
with touched as materialized (select event_id, tail_from, answers from ops.touched_events where not is_whole),

sightings as materialized (
    select touched.event_id, touched.answers, shown.exchange_id, shown.captured_at
    from touched
    cross join lateral {{ odds_of_tail(['exchange_id', 'captured_at']) }} as shown
),

-- events of which one answer alone says something in the tail, the pending one, and one alone at the last time before it
followed as materialized (
    select alone.event_id, alone.exchange_id, alone.captured_at, before_it.exchange_id as previous_id, before_it.captured_at as previous_at
    from (
        select event_id, (array_agg(exchange_id order by exchange_id))[1] as exchange_id, min(captured_at) as captured_at
        from sightings
        where answers = 1
        group by event_id
        having count(*) = 1 and bool_and(exchange_id = any (array(select pending.exchange_id from ops.pending as pending)))
    ) as alone
    cross join lateral (
        select (array_agg(s.exchange_id order by s.exchange_id))[1] as exchange_id, s.captured_at
        from {{ ref('event_sightings') }} as s
        where s.event_id = alone.event_id and s.shows_odds
            and s.captured_at = (
                select max(earlier.captured_at) from {{ ref('event_sightings') }} as earlier
                where earlier.event_id = alone.event_id and earlier.shows_odds and earlier.captured_at < alone.captured_at
            )
        group by s.captured_at having count(*) = 1
    ) as before_it
),

phased as materialized (
    select followed.*, phase.phase_as_known, {{ age_limit('fresh', 'phase.phase_as_known') }} as stale_after
    from followed
    cross join lateral {{ phase_then('followed.event_id', 'followed.captured_at') }} as phase
),

told as materialized (
    select sightings.event_id, sightings.exchange_id, q.series_id, q.line_rank, q.price_native, q.odds_format, q.point,
        q.captured_at - q.quote_at as age
    from sightings
    cross join lateral {{ quotes_told('sightings.exchange_id', 'sightings.event_id', 'sightings.captured_at') }} as q
),

told_before as materialized (
    select phased.event_id, phased.phase_as_known, q.series_id, q.line_rank, q.price_native, q.odds_format, q.point,
        q.captured_at - q.quote_at as age, phased.stale_after
    from phased
    cross join lateral {{ quotes_told('phased.previous_id', 'phased.event_id', 'phased.previous_at') }} as q
),

standing as materialized (
    select reaching.event_id, reaching.series_id, reaching.line_rank, reaching.phase_as_known
    from touched
    cross join lateral {{ reaching_rows(this, 'r.event_id, r.series_id, r.line_rank, r.phase_as_known') }} as reaching
),

-- what is said once more, in the phase that its row is of, and no staler or fresher, changes nothing
quiet as (
    select told.event_id, told.series_id, told.line_rank
    from told
    join told_before
        on {{ same_in('told_before', 'told', ['event_id', 'series_id', 'line_rank', 'odds_format']) }}
        and told_before.price_native = told.price_native -- null: what has no price is looked at
        and told_before.point is not distinct from told.point
        and (told_before.age > told_before.stale_after) = (told.age > told_before.stale_after)
    join standing
        on standing.series_id = told.series_id and standing.line_rank = told.line_rank
        and standing.phase_as_known = told_before.phase_as_known
)

select told.event_id, told.series_id, told.line_rank from told
union
select standing.event_id, standing.series_id, standing.line_rank from standing
except
select quiet.event_id, quiet.series_id, quiet.line_rank from quiet
{%- endmacro %}

{% macro find_touched_lines(table) -%}
insert into ops.touched_lines (event_id, line_key, market_line, is_of_price)
select distinct told.row_then ->> 'event_id', {{ line_key('line') }}, {{ line_key('line', point="''") }}, {{ 'true' if table == 'gold.price_history' else 'false' }}
from ops.row_changes as changes
join ops.touched_events as touched on touched.event_id = changes.scope_key and not touched.is_whole
cross join lateral (values (changes.old_row), (changes.new_row)) as told (row_then)
cross join lateral (
    select
        told.row_then ->> 'market_key' as market_key,
        told.row_then ->> 'description' as description,
        told.row_then ->> 'line_point' as line_point
) as line
where changes.table_name = '{{ table }}' and told.row_then is not null
{%- endmacro %}
