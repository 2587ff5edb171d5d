{#-
  Which rows of a stored model may change in a run, as conditions over alias `t`. Each finds its rows through an index,
  whatever the statistics say.
-#}

{#- Silver: the rows of the pending answers; their times tell which months to look in. -#}
{% macro rows_of_pending(row='t', pending='ops.pending') -%}
{{ row }}.exchange_id = any (array(select pending.exchange_id from {{ pending }} as pending))
    and {{ row }}.captured_at >= coalesce((select min(pending.captured_at) from {{ pending }} as pending), '-infinity')
    and {{ row }}.captured_at <= coalesce((select max(pending.captured_at) from {{ pending }} as pending), 'infinity')
{%- endmacro %}

{#- Gold, a row or few per event: all rows of the touched events. -#}
{% macro rows_of_events() -%}
t.event_id = any (array(select touched.event_id from ops.touched_events as touched))
{%- endmacro %}

{#- Gold, intervals: rows of the touched events that reach into the tail or lie in it; `by` as of reaching_rows. -#}
{% macro rows_of_tails(relation, by=none) -%}
t.ctid = any (array(
    select reaching.row_place
    from ops.touched_events as touched
    cross join lateral {{ reaching_rows(relation, 'r.ctid as row_place', by=by) }} as reaching
))
{%- endmacro %}

{#- Gold, moments: rows of the touched events from the tail's beginning on, by the column `at`; `by` as of reaching_rows. -#}
{% macro rows_since_tails(relation, at='captured_at', by=none) -%}
t.ctid = any (array(
    select later.row_place
    from ops.touched_events as touched
    cross join lateral (
        select r.ctid as row_place from {{ relation }} as r
        where r.event_id = touched.event_id and r.{{ at }} >= touched.tail_from
        {%- if by %} and {{ is_looked_at('r', by) }}{% endif %}
        offset 0
    ) as later
))
{%- endmacro %}
