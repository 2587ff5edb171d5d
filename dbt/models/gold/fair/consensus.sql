{{ config(
    row_key=['line_id', 'method', 'valid_from'],
    scope=rows_of_tails('gold.consensus', by='fresh line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- What the market holds each outcome for, over time: one voice per operator group.
{% call(standing, stale) holds_over_time(
    ref('margins'), only_if='r.is_sound', by='fresh line', line=line_key('r', after='r.outcome_set'), also=ref('stale_quotes'),
    key=['line_id', 'method'],
    changes=[
        'r.fair_median', 'r.fair_mean', 'r.fair_sharp', 'r.median_sum', 'r.group_count', 'r.book_count', 'r.probability_min',
        'r.probability_max', 'r.stddev_pop', 'r.sharp_weight_total', 'r.sharp_basis'
    ]
) %}
-- a book that shows a set twice speaks with the first
with speaking as (
    select distinct on (sets.at, sets.event_id, sets.line_key, sets.bookmaker_key)
        sets.*,
        coalesce(profile.operator_group, sets.bookmaker_key) as operator_group,
        coalesce(profile.sharp_weight, 0) as sharp_weight,
        coalesce(profile.is_exchange, false) as is_exchange
    from {{ standing }} as sets
    {{ with_profile('sets.bookmaker_key', 'sets.at') }}
    where {{ has_own_prices('profile') }} and not {{ set_is_stale('sets', stale, at='sets.at') }}
    order by sets.at, sets.event_id, sets.line_key, sets.bookmaker_key, sets.set_no
),

outcomes as materialized (
    select
        speaking.at, speaking.event_id, speaking.line_key, speaking.market_key, speaking.description, speaking.line_point,
        speaking.outcome_set, speaking.bookmaker_key, speaking.operator_group, speaking.sharp_weight, speaking.is_exchange,
        speaking.overround, speaking.phase_as_known,
        outcome.outcome_name, outcome.outcome_side, outcome.ratio, outcome.probability
    from speaking
    cross join lateral unnest(
        speaking.outcome_names, speaking.outcome_sides, speaking.fair_multiplicative, speaking.fair_power
    ) as outcome (outcome_name, outcome_side, ratio, probability)
),

counting as ({{ votes_that_count('outcomes', ['at', 'event_id', 'line_key']) }}),

counted as (
    select at, event_id, line_key, outcome_name,
        {{ same_of(['market_key', 'description', 'line_point', 'outcome_set', 'outcome_side']) }},
        {{ counted_votes() }},
        array_agg(bookmaker_key order by bookmaker_key) filter (where speaks) as voices
    from counting group by at, event_id, line_key, outcome_name
),

agreed as materialized (
    select counted.*,
        cast(sum(median) over (partition by at, event_id, line_key) as numeric(12, 10)) as median_sum,
        group_count >= {{ parameter('consensus_min_groups') }} as is_enough
    from counted
),

markets as materialized ({{ rules_of_markets('agreed', ['family', 'is_point_in_key']) }}),

-- how old the oldest quote is of those who speak
ages as (
    select agreed.at, agreed.event_id, agreed.line_key, agreed.outcome_name,
        max({{ seconds_between('quote.quote_at', 'agreed.at') }}) as oldest
    from agreed
    join markets on markets.market_key = agreed.market_key
    cross join lateral unnest(agreed.voices) as voice (bookmaker_key)
    cross join lateral (select {{ series_id_on_line('agreed', 'voice.bookmaker_key') }} as series_id offset 0) as spoken -- once per voice
    cross join lateral (
        select q.quote_at from {{ ref('quotes') }} as q
        where q.event_id = agreed.event_id and q.series_id = spoken.series_id and q.captured_at <= agreed.at
        order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id, q.line_rank limit 1
    ) as quote
    group by agreed.at, agreed.event_id, agreed.line_key, agreed.outcome_name
)

select
    cast({{ dbt_utils.generate_surrogate_key(
        ['event_id', 'market_key', key_part('description'), 'line_point', 'outcome_set', key_part('outcome_name')]
    ) }} as uuid) as line_id,
    'power' as method,
    at, event_id, market_key, description, line_point, outcome_set, outcome_name, outcome_side,
    {{ agreed_values() }},
    median_sum, group_count, book_count, probability_min, probability_max,
    cast(
        sqrt(round(group_count * square_sum - probability_sum * probability_sum, 40) / (group_count * group_count))
        as numeric(12, 10)
    ) as stddev_pop,
    cast(sharp_weight_total as numeric(10, 4)) as sharp_weight_total,
    ages.oldest as oldest_quote_age_at_open_seconds
from agreed
left join ages using (at, event_id, line_key, outcome_name)
{% endcall %}
