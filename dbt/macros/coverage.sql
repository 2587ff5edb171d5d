{#- What is held back of an answer, as coverage names it: an event, a bookmaker of it (`event|` where it does not tell which), or a
    market of that. -#}
{% macro held_name(element) -%}
{{ element }}.event_id
            || case {{ element }}.kind
                when 'event' then ''
                when 'bookmaker' then '|' || coalesce({{ element }}.bookmaker_key, '')
                else '|' || {{ element }}.bookmaker_key || '|' || {{ element }}.market_key
            end
{%- endmacro %}

{#- Whether an answer tells of an event at all: it is not held back. -#}
{% macro tells_of_event(asked, event_id) -%}
({{ asked }}.held_back = '{}' or not {{ event_id }} = any ({{ asked }}.held_back))
{%- endmacro %}

{#- Whether an answer tells of a book's market in an event: neither it nor what it is in is held back. -#}
{% macro tells_of_market(asked, event_id, bookmaker_key, market_key) -%}
(
    {{ asked }}.held_back = '{}'
    or not {{ asked }}.held_back && array[
        {{ event_id }}, {{ event_id }} || '|', {{ event_id }} || '|' || {{ bookmaker_key }},
        {{ event_id }} || '|' || {{ bookmaker_key }} || '|' || {{ market_key }}
    ]
)
{%- endmacro %}

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
            order by s.captured_at desc, s.source_rank desc, s.place desc, s.exchange_id desc limit 1
        ),
        false
    )
)
{%- endmacro %}

{#- When the newest answers about an event were received, of its sport's and of its own, for `from`: what stands in for a clock. -#}
{% macro newest_answers(event) -%}
(values (''), ({{ event }}.event_id)) as scopes (event_id)
    cross join lateral (
        select asked.captured_at from {{ ref('coverage') }} as asked
        where asked.sport_key = {{ event }}.sport_key and asked.event_id = scopes.event_id
        order by asked.captured_at desc limit 1
    )
{%- endmacro %}

{#- What is known of an event by now, one row for `cross join lateral`: when the newest answer about it was received, which stands in
    for a clock, and its phase then. Of one game there is one phase now, whenever its books were seen last. -#}
{% macro known_now(event) -%}
(
    select newest.captured_at as known_until,
        case when believed.start_as_known > newest.captured_at then 'pre' else 'in_play' end as phase_now
    from (select max(near.captured_at) as captured_at from {{ newest_answers(event) }} as near) as newest
    cross join lateral (
        select c.start_as_known from {{ ref('event_start_changes') }} as c where c.event_id = {{ event }}.event_id
        order by c.captured_at desc, c.source_rank desc, c.place desc, c.exchange_id desc limit 1
    ) as believed
)
{%- endmacro %}

{#- Whether an answer is of an endpoint whose items are events. -#}
{% macro is_of_events(answer) -%}
{{ answer }}.endpoint not in ('sports', 'participants', 'bets', 'predictions')
{%- endmacro %}
