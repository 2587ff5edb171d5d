{#- Whether an event that an answer does not show falls into the window of start times that the answer was asked for:
    by what was last heard of its start before. -#}
{% macro in_commence_window(asked, event_id) -%}
(
    ({{ asked }}.commence_from is null and {{ asked }}.commence_to is null)
    or coalesce(
        (
            select
                s.commence_time >= coalesce({{ asked }}.commence_from, '-infinity')
                and s.commence_time <= coalesce({{ asked }}.commence_to, 'infinity')
            from {{ ref('event_sightings') }} as s
            where s.event_id = {{ event_id }} and s.captured_at < {{ asked }}.captured_at
            order by s.captured_at desc, s.source_rank desc, s.place desc, s.exchange_id desc
            limit 1
        ),
        false
    )
)
{%- endmacro %}
