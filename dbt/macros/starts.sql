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

{#- How long after its start a game of a sport leaves the list, for `cross join lateral`: listed_from and listed_to, null where that is not
    known. Macros that run before the models name relations themselves. -#}
{% macro listed_span(sport_key, sport_rules=none) -%}
(
    select rule.listed_min * interval '1 hour' as listed_from, rule.listed_max * interval '1 hour' as listed_to
    from {{ sport_rule(sport_key, ['listed_min', 'listed_max'], seed=sport_rules) }} as rule
)
{%- endmacro %}

{#- Whether an event that left the list between last_seen_at (not included) and unlisted_at may have begun at `start`: null where that is not known. -#}
{% macro start_fits(start, left_list, span) -%}
(
    {{ left_list }}.last_seen_at < {{ start }} + {{ span }}.listed_to
    and {{ left_list }}.unlisted_at >= {{ start }} + {{ span }}.listed_from
)
{%- endmacro %}

{#- When the newest answer that lists a whole sport was received; `before`: before a time. -#}
{% macro newest_list(sport_key, before=none, coverage=none) -%}
(
        select listed.captured_at from {{ coverage or ref('coverage') }} as listed
        where listed.sport_key = {{ sport_key }} and listed.event_id = '' and listed.covers_listing
        {%- if before %} and listed.captured_at < {{ before }}{% endif %}
        order by listed.captured_at desc limit 1
    )
{%- endmacro %}

{#-
  Whether the list that an event left early goes on without it. Of the moment that lacks it, an answer about its whole sport shows another
  game in play, by the start that it gives; a list of games to come alone says nothing of one that began. Where it shows nothing at all, it
  says so if the event is missing still when games as old as it leave the list (prepare_run touches it then).
-#}
{% macro list_goes_on(event) -%}
exists (
        select 1
        from {{ ref('coverage') }} as last_answer
        join {{ ref('coverage') }} as asked
            on asked.sport_key = last_answer.sport_key and asked.event_id = '' and asked.moment_at = last_answer.moment_at
            and asked.captured_at > {{ event }}.last_seen_at and asked.captured_at <= {{ event }}.unlisted_at and asked.covers_listing
        where last_answer.sport_key = {{ sport_key_at(event ~ '.event_id', event ~ '.unlisted_at') }}
            and last_answer.event_id in ('', {{ event }}.event_id)
            and last_answer.captured_at = {{ event }}.unlisted_at and last_answer.covers_listing
            and {{ tells_of_event('asked', event ~ '.event_id') }} and {{ in_commence_window('asked', event ~ '.event_id') }}
            and not exists (
                select 1 from {{ ref('event_sightings') }} as s
                where s.exchange_id = asked.exchange_id and s.captured_at = asked.captured_at and s.event_id = {{ event }}.event_id
            )
            and case
                when exists (
                    select 1 from {{ ref('event_sightings') }} as s
                    where s.exchange_id = asked.exchange_id and s.captured_at = asked.captured_at
                )
                    then exists (
                        select 1 from {{ ref('event_sightings') }} as s
                        where s.exchange_id = asked.exchange_id and s.captured_at = asked.captured_at
                            and s.event_id <> {{ event }}.event_id and s.sport_key = asked.sport_key
                            and s.commence_time <= asked.captured_at
                    )
                else asked.held_back = '{}' and {{ newest_list(event ~ '.sport_key') }} >= {{ event }}.start_at + {{ event }}.listed_from
            end
    )
{%- endmacro %}
