{#-
  Fresh is a state of a set: what an answer shows was read not long before it. The limit before the start is the API's own: an older
  quote is of a feed that stalled. A flip begins a new stretch in what reads the state, not in price_history or margins.
-#}

{#- How old a quote may be in its answer, as an interval, by its phase. -#}
{% macro stale_after(phase) -%}
case when {{ phase }} = 'pre' then {{ parameter_interval('fresh_age_pre_seconds') }} else {{ parameter_interval('fresh_age_in_play_seconds') }} end
{%- endmacro %}

{#- Whether a quote is not fresh; `quote` has captured_at and quote_at, which are the same where no last_update tells. -#}
{% macro is_stale(quote, phase) -%}
{{ quote }}.captured_at - {{ quote }}.quote_at > {{ stale_after(phase) }}
{%- endmacro %}

{#- When, from the tail's beginning on, a looked at series may have become stale or fresh: each answer that shows it stale, and the one after; a complete select. -#}
{% macro times_of_stale_quotes() -%}
with shown_stale as materialized (
    select quoted.event_id, quoted.series_id, quoted.line_rank, quoted.captured_at
    from (
        select touched.event_id, touched.is_whole, shown.exchange_id, shown.captured_at, {{ stale_after('phase.phase_as_known') }} as stale_after
        from touched
        cross join lateral (
            select s.exchange_id, s.captured_at from {{ ref('event_sightings') }} as s
            where s.event_id = touched.event_id and s.captured_at >= touched.tail_from and s.shows_odds
            offset 0
        ) as shown
        cross join lateral {{ phase_then('touched.event_id', 'shown.captured_at') }} as phase
        -- the phase is looked up once per sighting, and not once per quote
        offset 0
    ) as phased
    cross join lateral (
        select q.event_id, q.series_id, q.line_rank, q.captured_at
        from {{ ref('quotes') }} as q
        where q.exchange_id = phased.exchange_id and q.event_id = phased.event_id and q.captured_at = phased.captured_at
            and q.price_side = 'back' and q.captured_at - q.quote_at > phased.stale_after and {{ is_looked_at('q', 'series', 'phased') }}
        offset 0
    ) as quoted
),

-- where a series was stale last before the answer that may show it fresh
stale_before as (
    select event_id, series_id, line_rank, captured_at as after_at, false as is_included from shown_stale
    union
    select own_rows.event_id, own_rows.series_id, own_rows.line_rank, touched.tail_from, true
    from own_rows
    join touched on touched.event_id = own_rows.event_id
)

select shown_stale.event_id, {{ stale_line('shown_stale') }} as line_key, shown_stale.captured_at as at from shown_stale
union
select stale_before.event_id, {{ stale_line('stale_before') }}, following.at
from stale_before
cross join lateral (
    select q.captured_at as at from {{ ref('quotes') }} as q
    where {{ same_in('q', 'stale_before', ['event_id', 'series_id', 'line_rank']) }} and q.captured_at >= stale_before.after_at
        and (stale_before.is_included or q.captured_at > stale_before.after_at)
    order by q.captured_at limit 1
) as following
{%- endmacro %}

{#- What stale_quotes looks at together: one series. -#}
{% macro stale_line(row) -%}
concat_ws('|', {{ row }}.series_id, {{ row }}.line_rank)
{%- endmacro %}

{#- Whether any quote of a set was not fresh at a row's time; `stale` names rows of stale_quotes. -#}
{% macro set_is_stale_at(sets, stale) -%}
exists (
        select 1 from {{ stale }} as stale
        where stale.event_id = {{ sets }}.event_id and stale.set_id = {{ sets }}.set_id and {{ stands_at('stale', sets ~ '.at') }}
    )
{%- endmacro %}
