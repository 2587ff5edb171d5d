{#-
  What models of stretches, and the tests of them, share: which rows a run looks at, when something changed, what stood then.
  `touched` names the events of the run, each with the beginning of its tail (ops.touched_events).
-#}

{#-
  The rows of a touched event that are open or reach into its tail, for `cross join lateral`: two ranges of one index. `by`: of
  events that are not looked at whole those of touched series, lines or markets alone (lines.sql).
-#}
{% macro reaching_rows(relation, columns='r.*', by=none) -%}
{%- set only = ' and ' ~ is_looked_at('r', by) if by else '' -%}
(
        select {{ columns }} from {{ relation }} as r where r.event_id = touched.event_id and r.valid_to is null{{ only }}
        union all
        select {{ columns }} from {{ relation }} as r where r.event_id = touched.event_id and r.valid_to >= touched.tail_from{{ only }}
    )
{%- endmacro %}

{#- The rows of `touched` events that a blocking test of a table of stretches looks at. -#}
{% macro tail_of(relation, by) -%}
    select reaching.*, touched.tail_from
    from touched
    cross join lateral {{ reaching_rows(relation, by=by) }} as reaching
{%- endmacro %}

{#- The times from the tail's beginning on at which something changed under a key of `rows`. -#}
{% macro times_of_change(key, rows='quoted') -%}
    select distinct {{ rows }}.event_id, {{ rows }}.{{ key }}, change.at
    from {{ rows }}
    cross join lateral (values ({{ rows }}.valid_from), ({{ rows }}.valid_to)) as change (at)
    where change.at >= {{ rows }}.tail_from
{%- endmacro %}

{#- Whether a row stands at a time. -#}
{% macro stands_at(row, at) -%}
{{ row }}.valid_from <= {{ at }} and ({{ row }}.valid_to is null or {{ row }}.valid_to > {{ at }})
{%- endmacro %}

{#- `times` with those of some rows that stood then under their key. -#}
{% macro times_with_standing(key, rows='quoted') -%}
times
    join {{ rows }}
        on {{ rows }}.event_id = times.event_id and {{ rows }}.{{ key }} = times.{{ key }}
        and {{ stands_at(rows, 'times.at') }}
{%- endmacro %}

{#- What the last answer until `at` said of a standing row, for `cross join lateral`. -#}
{% macro quote_then(row, columns) -%}
{{ quote_until(row ~ '.at', row ~ '.event_id', row ~ '.series_id', row ~ '.line_rank', columns) }}
{%- endmacro %}

{#- What the last answer until a time said of a series, for `cross join lateral`; of one time the latest moment's. -#}
{% macro quote_until(at, event_id, series_id, line_rank, columns) -%}
(
        select {{ columns_of('q', columns) }} from {{ ref('quotes') }} as q
        where q.event_id = {{ event_id }} and q.series_id = {{ series_id }} and q.line_rank = {{ line_rank }} and q.captured_at <= {{ at }}
        order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id limit 1
    )
{%- endmacro %}
