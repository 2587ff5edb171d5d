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

{#- CTEs `touched` and `tail`: the rows that a blocking test of a table of stretches looks at. -#}
{% macro touched_and_tail(relation, by) -%}
{{ touched(by) }},

tail as materialized (
    select reaching.*, touched.tail_from
    from touched
    cross join lateral {{ reaching_rows(relation, by=by) }} as reaching
)
{%- endmacro %}

{#- The times from the tail's beginning on at which something changed under a key of `quoted`. -#}
{% macro times_of_change(key) -%}
    select distinct quoted.event_id, quoted.{{ key }}, change.at
    from quoted
    cross join lateral (values (quoted.valid_from), (quoted.valid_to)) as change (at)
    where change.at >= quoted.tail_from
{%- endmacro %}

{#- `times` with the rows of `quoted` that stood then under their key. -#}
{% macro times_with_standing(key) -%}
times
    join quoted
        on quoted.event_id = times.event_id
        and quoted.{{ key }} = times.{{ key }}
        and quoted.valid_from <= times.at
        and (quoted.valid_to is null or quoted.valid_to > times.at)
{%- endmacro %}

{#- What the last answer until `at` said of a standing row, for `cross join lateral`. -#}
{% macro quote_then(row, columns) -%}
(
        select {% for column in columns %}q.{{ column }}{{ ", " if not loop.last }}{% endfor %}
        from {{ ref('quotes') }} as q
        where q.event_id = {{ row }}.event_id
            and q.series_id = {{ row }}.series_id
            and q.line_rank = {{ row }}.line_rank
            and q.captured_at <= {{ row }}.at
        order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id
        limit 1
    )
{%- endmacro %}

{#- Whether any of the columns differs from that of the row before it in time (`at`) under the same key. -#}
{% macro differs_from_before(columns, key) -%}
({{ columns | join(', ') }}) is distinct from (
                {%- for column in columns %}lag({{ column }}) over (partition by {{ key }} order by at){{ ", " if not loop.last }}{% endfor -%}
            )
{%- endmacro %}
