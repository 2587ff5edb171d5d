{#-
  Whether a start time that an answer gives is believed, s being the one believed so far (null at first).
  Before s, any start from an hour ago on is a schedule. From s on the event counts as started: only its true start
  is taken, from a quarter of an hour before s to four hours after; what else comes then is a correction that cannot be told from an error.
-#}
{% macro start_is_accepted(known, given, captured_at) -%}
case
    when {{ known }} is null then true
    when {{ captured_at }} < {{ known }} then {{ given }} >= {{ captured_at }} - interval '1 hour'
    else {{ given }} between {{ known }} - interval '15 minutes' and {{ known }} + interval '4 hours'
end
{%- endmacro %}

{% macro phase_then(event_id, at) -%}
(
        select case when c.start_as_known > {{ at }} then 'pre' else 'in_play' end as phase_as_known
        from {{ ref('event_start_changes') }} as c
        where c.event_id = {{ event_id }} and c.captured_at <= {{ at }}
        order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc limit 1
    )
{%- endmacro %}
