{{ config(
    row_key=['line_id', 'method', 'valid_from'],
    scope=rows_of_tails('gold.consensus', by='line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- What the market holds each outcome for, over time: one voice per operator group.
with {{ touched('line') }},

{{ keys_of_touched() }},

quoted as materialized (
    select
        touched.tail_from,
        sets.event_id, sets.bookmaker_key, sets.market_key, sets.description, sets.line_point, sets.set_no,
        sets.outcome_set, sets.outcome_names, sets.outcome_sides, sets.fair_multiplicative, sets.fair_power, sets.overround,
        sets.phase_as_known, sets.valid_from, sets.valid_to,
        {{ line_key('sets', after='sets.outcome_set') }} as line_key
    from touched
    cross join lateral {{ reaching_rows(ref('margins'), by='line') }} as sets
    where sets.is_sound
),

-- the times from the tail's beginning on at which something on a line changed
times as materialized (
    {{ times_of_change('line_key') }}
),

-- a book that shows a set twice speaks with the first
standing_then as (
    select distinct on (times.at, quoted.event_id, quoted.line_key, quoted.bookmaker_key)
        times.at,
        quoted.*,
        coalesce(profile.operator_group, quoted.bookmaker_key) as operator_group,
        coalesce(profile.sharp_weight, 0) as sharp_weight,
        coalesce(profile.is_exchange, false) as is_exchange
    from {{ times_with_standing('line_key') }}
    {{ with_profile('quoted.bookmaker_key', 'times.at') }}
    where {{ has_own_prices('profile') }}
    order by times.at, quoted.event_id, quoted.line_key, quoted.bookmaker_key, quoted.set_no
),

outcomes as materialized (
    select
        standing_then.at, standing_then.event_id, standing_then.line_key, standing_then.market_key,
        standing_then.description, standing_then.line_point, standing_then.outcome_set, standing_then.bookmaker_key,
        standing_then.operator_group, standing_then.sharp_weight, standing_then.is_exchange, standing_then.overround,
        standing_then.phase_as_known,
        outcome.outcome_name, outcome.outcome_side, outcome.ratio, outcome.probability
    from standing_then
    cross join lateral unnest(
        standing_then.outcome_names, standing_then.outcome_sides, standing_then.fair_multiplicative, standing_then.fair_power
    ) as outcome (outcome_name, outcome_side, ratio, probability)
),

{{ usable_votes('outcomes', ['at', 'event_id', 'line_key']) }},

counted as (
    select
        at, event_id, line_key, outcome_name,
        min(market_key) as market_key,
        min(description) as description,
        min(line_point) as line_point,
        min(outcome_set) as outcome_set,
        min(outcome_side) as outcome_side,
        {{ counted_votes() }},
        array_agg(bookmaker_key order by bookmaker_key) filter (where speaks) as voices
    from usable
    group by at, event_id, line_key, outcome_name
),

agreed as (
    select
        counted.*,
        cast(sum(median) over (partition by at, event_id, line_key) as numeric(12, 10)) as median_sum,
        group_count >= {{ parameter('consensus_min_groups') }} as is_enough
    from counted
),

keyed as materialized (
    select
        cast({{ dbt_utils.generate_surrogate_key(
            ['event_id', 'market_key', key_part('description'), 'line_point', 'outcome_set', key_part('outcome_name')]
        ) }} as uuid) as line_id,
        event_id, line_key, at, market_key, description, line_point, outcome_set, outcome_name, outcome_side,
        {{ agreed_values() }},
        median_sum, group_count, book_count, probability_min, probability_max,
        cast(
            sqrt(round(group_count * square_sum - probability_sum * probability_sum, 40) / (group_count * group_count))
            as numeric(12, 10)
        ) as stddev_pop,
        cast(sharp_weight_total as numeric(10, 4)) as sharp_weight_total,
        voices
    from agreed
),

reaching_in as materialized (
    select
        standing.*,
        {{ line_key('standing', after='standing.outcome_set') }} as line_key
    from touched
    cross join lateral {{ reaching_rows(this, by='line') }} as standing
    where standing.valid_from < touched.tail_from
),

lines as (
    select line_id, event_id, line_key from keyed
    union
    select line_id, event_id, line_key from reaching_in
),

timeline as (
    select
        lines.line_id, times.at, keyed.line_id is not null as is_held,
        lines.event_id, keyed.market_key, keyed.description, keyed.line_point, keyed.outcome_set,
        keyed.outcome_name, keyed.outcome_side, keyed.fair_median, keyed.fair_mean, keyed.fair_sharp, keyed.median_sum,
        keyed.group_count, keyed.book_count, keyed.probability_min, keyed.probability_max, keyed.stddev_pop,
        keyed.sharp_weight_total, keyed.sharp_basis, keyed.voices, cast(null as integer) as oldest_quote_age_at_open_seconds
    from lines
    join times
        on times.event_id = lines.event_id
        and times.line_key = lines.line_key
    left join keyed on keyed.line_id = lines.line_id and keyed.at = times.at
    union all
    select
        line_id, valid_from, true,
        event_id, market_key, description, line_point, outcome_set,
        outcome_name, outcome_side, fair_median, fair_mean, fair_sharp, median_sum,
        group_count, book_count, probability_min, probability_max, stddev_pop,
        sharp_weight_total, sharp_basis, null, oldest_quote_age_at_open_seconds
    from reaching_in
),

compared as (
    select
        timeline.*,
        is_held <> coalesce(lag(is_held) over one_line, false)
        or (
            is_held
            and {{ differs_from_before(
                [
                    'fair_median', 'fair_mean', 'fair_sharp', 'median_sum', 'group_count', 'book_count', 'probability_min',
                    'probability_max', 'stddev_pop', 'sharp_weight_total', 'sharp_basis'
                ],
                'line_id'
            ) }}
        ) as is_change
    from timeline
    window one_line as (partition by line_id order by at)
),

stretches as (
    select
        compared.*,
        lead(at) over (partition by line_id order by at) as valid_to
    from compared
    where is_change
),

markets as materialized (
    select shown.market_key, rule.family, rule.is_point_in_key
    from (select distinct market_key from quoted) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
),

-- the quotes of those who speak, where a stretch begins
spoken as materialized (
    select
        stretches.line_id, stretches.event_id, stretches.at,
        {{ series_id_on_line('stretches', 'voice.bookmaker_key') }} as series_id
    from stretches
    join markets on markets.market_key = stretches.market_key
    cross join lateral unnest(stretches.voices) as voice (bookmaker_key)
    where stretches.is_held
),

ages as (
    select spoken.line_id, spoken.at, max({{ seconds_between('quote.quote_at', 'spoken.at') }}) as oldest_age
    from spoken
    cross join lateral (
        select q.quote_at
        from {{ ref('quotes') }} as q
        where q.event_id = spoken.event_id and q.series_id = spoken.series_id and q.captured_at <= spoken.at
        order by q.captured_at desc, q.moment_at desc, q.place, q.exchange_id
        limit 1
    ) as quote
    group by spoken.line_id, spoken.at
)

select
    stretches.line_id, stretches.event_id, event_keys.sport_key, stretches.market_key, stretches.description, stretches.line_point,
    stretches.outcome_set, stretches.outcome_name, stretches.outcome_side,
    'power' as method,
    stretches.at as valid_from,
    stretches.valid_to,
    stretches.fair_median, stretches.fair_mean, stretches.fair_sharp, stretches.median_sum, stretches.group_count,
    stretches.book_count, stretches.probability_min, stretches.probability_max, stretches.stddev_pop,
    stretches.sharp_weight_total, stretches.sharp_basis,
    coalesce(ages.oldest_age, stretches.oldest_quote_age_at_open_seconds) as oldest_quote_age_at_open_seconds
from stretches
{{ with_sport_key('stretches.event_id', 'stretches.at') }}
left join ages on ages.line_id = stretches.line_id and ages.at = stretches.at
where stretches.is_held
