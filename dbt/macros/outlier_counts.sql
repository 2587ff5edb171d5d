{#-
  How many of each book's sets of some events could be compared with what other groups held, some hours before the start, and how
  many were outliers; a complete select. `events` as due_events gives them.
-#}
{% macro outlier_counts_of(events) -%}
select
    event.event_id, event.sport_key, counted.bookmaker_key, event.start_at, counted.horizon_hours, counted.compared_sets,
    counted.outlier_sets
from {{ events }} as event
cross join lateral (
    -- no clock: a time has come when an answer about the event was received at or after it
    with known as materialized (select max(newest.captured_at) as known_until from {{ newest_answers('event') }} as newest),

    looks as materialized (
        select look.hours, event.start_at - look.hours * interval '1 hour' as at
        from known
        cross join {{ horizons() }} as look (hours)
        where event.start_at - look.hours * interval '1 hour' <= known.known_until
    ),

    looked_at as materialized (
        select
            looks.hours, m.bookmaker_key, m.overround, m.outcome_names, m.fair_multiplicative,
            {{ line_key('m', after='m.outcome_set') }} as line_key,
            coalesce(profile.operator_group, m.bookmaker_key) as operator_group
        from looks
        join {{ ref('margins') }} as m on {{ stands_at('m', 'looks.at') }}
        {{ with_profile('m.bookmaker_key', 'looks.at') }}
        where m.event_id = event.event_id and m.is_sound and m.set_no = 1 and m.market_key in ('h2h', 'spreads', 'totals')
            and {{ has_own_prices('profile') }} and not {{ set_is_stale('m', ref('stale_quotes'), at='looks.at') }}
    ),

    -- a group's lowest margin is what the others are compared with
    voices as (
        select distinct on (hours, line_key, operator_group) hours, line_key, operator_group, outcome_names, fair_multiplicative
        from looked_at
        order by hours, line_key, operator_group, overround, bookmaker_key
    ),

    heard as (
        select voices.hours, voices.line_key, voices.operator_group, outcome.outcome_name, outcome.ratio
        from voices
        cross join lateral unnest(voices.outcome_names, voices.fair_multiplicative) as outcome (outcome_name, ratio)
    ),

    ranked as (
        select heard.hours, heard.line_key, heard.operator_group, heard.outcome_name,
            {{ place_among('ratio', of='hours, line_key, outcome_name') }} as position,
            {{ all_of('ratio', of='hours, line_key, outcome_name') }} as ordered_ratios
        from heard
    ),

    compared as (
        select looked_at.bookmaker_key, looked_at.hours, looked_at.line_key,
            bool_or(
                abs(outcome.ratio - {{ median_of_others('ranked.ordered_ratios', 'ranked.position') }}) > {{ parameter('outlier_pre') }}
            ) as is_outlier
        from looked_at
        cross join lateral unnest(looked_at.outcome_names, looked_at.fair_multiplicative) as outcome (outcome_name, ratio)
        join ranked
            on {{ same_in('ranked', 'looked_at', ['hours', 'line_key', 'operator_group']) }}
            and ranked.outcome_name = outcome.outcome_name
        where cardinality(ranked.ordered_ratios) - 1 >= {{ parameter('outlier_min_groups') }}
        group by looked_at.bookmaker_key, looked_at.hours, looked_at.line_key
    )

    select compared.bookmaker_key, compared.hours as horizon_hours,
        cast(count(*) as integer) as compared_sets,
        cast(count(*) filter (where compared.is_outlier) as integer) as outlier_sets
    from compared
    group by compared.bookmaker_key, compared.hours
) as counted
{%- endmacro %}
