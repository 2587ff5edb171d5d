{#-
  Fresh is a state of a set: what an answer shows was read not long before it. The limit before the start is the API's own: an older
  quote is of a feed that stalled. A flip begins a new stretch in what reads the state, not in price_history or margins.
-#}

{#- How old a quote may be in its answer, as an interval, by its phase; `to_be`: fresh, or usable. -#}
{% macro age_limit(to_be, phase) -%}
case
        when {{ phase }} = 'pre' then {{ parameter_interval(to_be ~ '_age_pre_seconds') }}
        else {{ parameter_interval(to_be ~ '_age_in_play_seconds') }}
    end
{%- endmacro %}

{#- Whether a quote is not fresh; `quote` has captured_at and quote_at, which are the same where no last_update tells. -#}
{% macro is_stale(quote, phase) -%}
{{ quote }}.captured_at - {{ quote }}.quote_at > {{ age_limit('fresh', phase) }}
{%- endmacro %}

{#- When, from the tail's beginning on, a looked at series may have become stale or fresh: each answer that shows it stale, and the one after; a complete select. -#}
{% macro times_of_stale_quotes() -%}
with shown_stale as materialized (
    select quoted.event_id, quoted.series_id, quoted.line_rank, quoted.captured_at
    from (
{{ phased_odds_of_tails(['exchange_id', 'captured_at']) }}
    ) as phased
    cross join lateral (
        select q.event_id, q.series_id, q.line_rank, q.captured_at
        from {{ ref('quotes') }} as q
        where q.exchange_id = phased.exchange_id and q.event_id = phased.event_id and q.captured_at = phased.captured_at
            and q.price_side = 'back' and {{ is_stale('q', 'phased.phase_as_known') }} and {{ is_looked_at('q', 'series', 'phased') }}
        offset 0
    ) as quoted
),

-- where a series was stale last before the answer that may show it fresh
stale_before as (
    select event_id, series_id, line_rank, captured_at as until_at from shown_stale
    union
    select own_rows.event_id, own_rows.series_id, own_rows.line_rank, touched.tail_from - interval '1 microsecond'
    from own_rows
    join touched on touched.event_id = own_rows.event_id
)

select shown_stale.event_id, {{ stale_line('shown_stale') }} as line_key, shown_stale.captured_at as at from shown_stale
union
select stale_before.event_id, {{ stale_line('stale_before') }}, following.at
from stale_before
cross join lateral (
    select q.captured_at as at from {{ ref('quotes') }} as q
    where {{ same_in('q', 'stale_before', ['event_id', 'series_id', 'line_rank']) }} and q.captured_at > stale_before.until_at
    order by q.captured_at limit 1
) as following
{%- endmacro %}

{#- What stale_quotes looks at together: one series. -#}
{% macro stale_line(row) -%}
concat_ws('|', {{ row }}.series_id, {{ row }}.line_rank)
{%- endmacro %}

{#- Whether any quote of a set is not fresh at a time (none: now); `stale` names rows of stale_quotes. -#}
{% macro set_is_stale(sets, stale, at=none) -%}
exists (
        select 1 from {{ stale }} as stale
        where stale.event_id = {{ sets }}.event_id and stale.set_id = {{ sets }}.set_id
            and {{ stands_at('stale', at) if at else 'stale.valid_to is null' }}
    )
{%- endmacro %}
