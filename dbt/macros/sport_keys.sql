{#-
  An id may move to another sport key, such as from the preseason's: at any time an event belongs to the key under which it was last
  shown up to then (silver.event_sport_keys). So the set of answers decides, and not the answers of a run or their order.
-#}

{% macro sport_key_at(event_id, at) -%}
(
        select known.sport_key from {{ ref('event_sport_keys') }} as known
        where known.event_id = {{ event_id }} and known.valid_from <= {{ at }}
        order by known.valid_from desc limit 1
    )
{%- endmacro %}

{#- The keys of the events of `touched`, each with its time. One look-up per event, as there may be many rows of it. -#}
{% macro keys_of_touched() -%}
    select touched.event_id, periods.sport_key, periods.valid_from, periods.valid_to
    from touched
    cross join lateral (
        select k.sport_key, k.valid_from, k.valid_to from {{ ref('event_sport_keys') }} as k
        where k.event_id = touched.event_id
        offset 0
    ) as periods
{%- endmacro %}

{#- Joins `event_keys`, of which one row at most holds at a time: its sport_key is the one that an event belonged to then. -#}
{% macro with_sport_key(event_id, at) -%}
left join event_keys on event_keys.event_id = {{ event_id }} and {{ stands_at('event_keys', at) }}
{%- endmacro %}

{#-
  The answers from the tail's beginning on that cover an event of `touched`: those that show it, and those that do not although they
  asked for the key that it belonged to as they came, and hold it not back. For other keys an answer without it says nothing.
  `asked` are columns of coverage, `shown` of event_sightings (given as shown_…, null where it is not shown); `only_if` is a condition over coverage `c`.
-#}
{% macro covering_answers(asked, shown, only_if) -%}
    select touched.event_id,
        {% for column in asked %}asked.{{ column }}, {% endfor %}
        {% for column in shown %}sighting.{{ column }} as shown_{{ column }}, {% endfor %}
        true as shows_event
    from touched
    cross join lateral (
        select s.exchange_id{% for column in shown %}, s.{{ column }}{% endfor %}
        from {{ ref('event_sightings') }} as s
        where s.event_id = touched.event_id and s.captured_at >= touched.tail_from
        offset 0
    ) as sighting
    cross join lateral (
        select {% for column in asked %}c.{{ column }}{{ ", " if not loop.last }}{% endfor %}
        from {{ ref('coverage') }} as c
        where c.exchange_id = sighting.exchange_id and c.event_id in ('', touched.event_id) and {{ only_if }}
        offset 0
    ) as asked
    union all
    select touched.event_id,
        {% for column in asked %}asked.{{ column }}, {% endfor %}
        {% for column in shown %}null as shown_{{ column }}, {% endfor %}
        false as shows_event
    from touched
    cross join lateral (
        select k.sport_key, greatest(k.valid_from, touched.tail_from) as known_from, coalesce(k.valid_to, 'infinity') as known_to
        from {{ ref('event_sport_keys') }} as k
        where k.event_id = touched.event_id and (k.valid_to is null or k.valid_to >= touched.tail_from)
        offset 0
    ) as known
    cross join lateral (
        select c.exchange_id, c.commence_from, c.commence_to{{ ", c.held_back" if 'held_back' not in asked }}
            {%- for column in asked if column != 'exchange_id' %}, c.{{ column }}{% endfor %}
        from {{ ref('coverage') }} as c
        where c.sport_key = known.sport_key and c.event_id in ('', touched.event_id)
            and c.captured_at >= known.known_from and c.captured_at < known.known_to and {{ only_if }}
        offset 0
    ) as asked
    left join lateral (
        select s.exchange_id from {{ ref('event_sightings') }} as s
        where s.exchange_id = asked.exchange_id and s.event_id = touched.event_id and s.captured_at = asked.captured_at
        offset 0
    ) as sighting on true
    where sighting.exchange_id is null and {{ tells_of_event('asked', 'touched.event_id') }}
        and {{ in_commence_window('asked', 'touched.event_id') }}
{%- endmacro %}
