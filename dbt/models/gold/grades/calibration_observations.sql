{{ config(
    row_key=['event_id', 'market_key', 'outcome_set', 'bookmaker_key', 'method', 'horizon_hours'],
    scope=rows_of_due_events(),
    scope_key='event_id',
    indexes=[{'columns': ['event_id']}, {'columns': ['sport_key', 'start_at']}],
) }}
-- What each book and the consensus held a graded outcome for, some hours before the start, and how that scored.
select
    event.event_id, event.sport_key, scored.market_key, scored.line_point, scored.outcome_set, scored.bookmaker_key,
    scored.method, scored.horizon_hours, event.start_at, scored.valid_from,
    cast(scored.probability as numeric(12, 10)) as probability,
    scored.outcome, scored.brier, scored.log_loss, scored.close_status
from {{ finished_events() }} as finished
join {{ due_events() }} as event on event.event_id = finished.event_id
cross join lateral (
    with looks as (
        select look.hours, event.start_at - look.hours * interval '1 hour' as at
        from {{ horizons() }} as look (hours)
    ),

    book_sets as (
        select
            looks.hours, m.bookmaker_key, m.market_key, m.line_point, m.outcome_set, m.outcome_names, m.outcome_sides,
            m.valid_from, m.fair_multiplicative, m.fair_additive, m.fair_power, m.fair_shin,
            row_number() over (
                partition by looks.hours, m.bookmaker_key, m.market_key, m.outcome_set
                order by {{ nearest_to_even('m', 'm.fair_multiplicative[' ~ first_side('m.outcome_sides') ~ ']') }}
            ) as nth
        from {{ ref('margins') }} as m
        join looks on looks.at >= m.valid_from and (m.valid_to is null or looks.at < m.valid_to)
        {{ with_profile('m.bookmaker_key', 'looks.at') }}
        -- null: only a close without a quote has no outcome_set, and it is not read here
        where m.event_id = event.event_id and m.is_sound and m.description is null and m.outcome_set <> 'field'
            and {{ has_own_prices('profile') }}
    ),

    consensus_lines as (
        select looks.hours, c.market_key, c.line_point, c.outcome_set,
            array_agg(c.outcome_name order by c.outcome_name) as outcome_names,
            array_agg(c.outcome_side order by c.outcome_name) as outcome_sides,
            array_agg(c.fair_median order by c.outcome_name) as fair_power,
            max(c.valid_from) as valid_from,
            max(c.group_count) as group_count
        from {{ ref('consensus') }} as c
        join looks on looks.at >= c.valid_from and (c.valid_to is null or looks.at < c.valid_to)
        -- null: as above
        where c.event_id = event.event_id and c.fair_median is not null and c.description is null and c.outcome_set <> 'field'
        group by looks.hours, c.market_key, c.line_point, c.outcome_set
    ),

    -- the market's main line is the one that most groups hang
    consensus_sets as (
        select consensus_lines.*,
            row_number() over (
                partition by hours, market_key, outcome_set
                order by
                    group_count desc, abs(fair_power[{{ first_side('outcome_sides') }}] - 0.5), abs(line_point), line_point
            ) as nth
        from consensus_lines
    ),

    forecasts as (
        select
            book_sets.hours, book_sets.bookmaker_key, way.method, book_sets.market_key, book_sets.line_point,
            book_sets.outcome_set, book_sets.outcome_names, book_sets.outcome_sides, way.probabilities, book_sets.valid_from
        from book_sets
        cross join lateral (
            values
            ('multiplicative', book_sets.fair_multiplicative),
            ('additive', book_sets.fair_additive),
            ('power', book_sets.fair_power),
            ('shin', book_sets.fair_shin)
        ) as way (method, probabilities)
        where book_sets.nth = 1 and way.probabilities is not null
        union all
        select
            hours, 'consensus', 'power', market_key, line_point, outcome_set, outcome_names, outcome_sides, fair_power, valid_from
        from consensus_sets where nth = 1
    ),

    -- at the start itself a quote counts where it is a closing
    closes as materialized (
        select c.bookmaker_key, c.market_key, c.outcome_set, {{ worst_close('c') }} as close_status
        from {{ ref('closings') }} as c
        where c.event_id = event.event_id and c.is_closing and c.description is null
        group by c.bookmaker_key, c.market_key, c.outcome_set
        union all
        select 'consensus' as bookmaker_key, c.market_key, c.outcome_set, {{ worst_close('c') }} as close_status
        from {{ ref('closing_consensus') }} as c
        where c.event_id = event.event_id and c.is_closing and c.is_main_line and c.description is null
        group by c.market_key, c.outcome_set
    ),

    -- of a push, and of half of a stake, nothing is learnt
    hits as materialized (
        select
            {{ line_key('g', after='g.outcome_set') }} as line_key,
            array_agg(g.outcome_name order by g.outcome_name) as outcome_names,
            array_agg(g.won_share order by g.outcome_name) as outcomes
        from {{ ref('outcome_grades') }} as g
        where g.event_id = event.event_id and g.description is null and g.grade in ('win', 'loss')
            and coalesce(mod(abs(g.line_point), 0.5), 0) = 0
        group by line_key
    ),

    met as (
        select forecasts.*,
            forecasts.probabilities[{{ first_side('forecasts.outcome_sides') }}] as probability,
            hits.outcomes[{{ first_side('forecasts.outcome_sides') }}] as outcome,
            hits.outcomes, closes.close_status
        from (select forecasts.*, cast(null as text) as description from forecasts) as forecasts
        join hits
            on hits.line_key = {{ line_key('forecasts', after='forecasts.outcome_set') }}
            and hits.outcome_names = forecasts.outcome_names
        left join closes
            on forecasts.hours = 0 and closes.bookmaker_key = forecasts.bookmaker_key and closes.market_key = forecasts.market_key
            -- null: a closing has its outcome_set
            and closes.outcome_set = forecasts.outcome_set
        where forecasts.hours > 0 or closes.close_status is not null
    )

    select
        met.hours as horizon_hours, met.bookmaker_key, met.method, met.market_key, met.line_point, met.outcome_set, met.valid_from,
        met.probability, met.close_status,
        cast(met.outcome as integer) as outcome,
        cast(
            case
                when met.outcome_set = 'three_way'
                    then (
                        select sum((each.probability - each.outcome) * (each.probability - each.outcome))
                        from unnest(met.probabilities, met.outcomes) as each (probability, outcome)
                    )
                else (met.probability - met.outcome) * (met.probability - met.outcome)
            end as numeric(12, 10)
        ) as brier,
        {{ log_loss_of("case
            when met.outcome_set = 'three_way' then met.probabilities[array_position(met.outcomes, 1.00)]
            when met.outcome = 1 then met.probability
            else 1 - met.probability
        end") }} as log_loss
    from met
    -- of a set of no side that is looked at nothing is told
    where met.probability is not null
) as scored
where not event.start_is_suspect and event.start_basis <> 'kept_unproven' and event.status <> 'gone_early'
