{{ config(
    row_key=['set_id', 'valid_from'],
    scope=rows_of_tails('gold.margins', by='line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- What each book's set of prices adds up to, and the probabilities without its margin, over time.
{% call(standing) holds_over_time(
    ref('price_history'), only_if="r.price_side = 'back'", by='line',
    line=line_key('r', before='case when ' ~ is_outright('r') ~ " then '' else r.bookmaker_key end"),
    key=['set_id'],
    changes=[
        'r.outcome_set', 'r.outcome_names', 'r.implied_probabilities', 'r.phase_as_known', 'r.is_complete', 'r.runner_coverage',
        'case when not r.is_sound then r.problem end'
    ]
) %}
-- What one change may bear on is a line of one book; of outrights a line of all books, as a field is complete only against the others.
-- What the last answer then said of the quote's set:
with told as materialized (
    select
        quotes.*, {{ implied_exactly('quotes.price_native', 'quotes.odds_format') }} as exact_probability, quote.exchange_id, quote.captured_at, quote.moment_at, quote.place, quote.duplicate_no,
        quote.outcome_set, quote.is_complete, quote.problem
    from {{ standing }} as quotes
    cross join lateral {{ quote_then('quotes', ['exchange_id', 'captured_at', 'moment_at', 'place', 'duplicate_no', 'outcome_set', 'is_complete', 'problem']) }} as quote
    -- null: nothing is wrong with it
    where quote.problem is distinct from 'superseded'
),

markets as materialized ({{ rules_of_markets('told', ['family']) }}),

-- of several answers that speak for a set's outcomes, the newest speaks for the set
sets as (
    select
        at, event_id, line_key, bookmaker_key, market_key, description, line_point, duplicate_no as set_no,
        -- in_play, where any of them is
        min(phase_as_known) as phase_as_known,
        array_agg(outcome_name order by outcome_name) as outcome_names,
        array_agg(outcome_side order by outcome_name) as outcome_sides,
        array_agg(implied_probability order by outcome_name) as implied_probabilities,
        array_agg(exact_probability order by outcome_name) as exact_probabilities,
        count(distinct outcome_name) as names,
        count(*) as outcomes,
        -- three thirds are 1
        round(sum(exact_probability), 32) as overround,
        (array_agg(outcome_set order by captured_at desc, moment_at desc, place, exchange_id))[1] as outcome_set,
        -- of several answers at one time a stored price may be that of one without a price, and the set another's
        (array_agg(is_complete order by captured_at desc, moment_at desc, place, exchange_id))[1] and count(implied_probability) = count(*) as is_whole,
        coalesce(
            (array_agg(problem order by captured_at desc, moment_at desc, place, exchange_id))[1],
            case when count(implied_probability) < count(*) then 'price_out_of_range' end
        ) as set_problem
    from told
    group by at, event_id, line_key, bookmaker_key, market_key, description, line_point, duplicate_no
),

-- every runner that any book's field has then
fields as (
    select sets.at, sets.event_id, sets.line_key, count(distinct runner.outcome_name) as runners
    from sets
    cross join lateral unnest(sets.outcome_names) as runner (outcome_name)
    where sets.outcome_set = 'field' and sets.set_problem is null
    group by sets.at, sets.event_id, sets.line_key
),

covered as (
    select sets.*,
        case
            when sets.outcome_set = 'field' and sets.set_problem is null
                then cast(round(sets.names, 40) / fields.runners as numeric(12, 10))
        end as runner_coverage
    from sets
    left join fields on {{ same_in('fields', 'sets', ['at', 'event_id', 'line_key']) }}
),

completed as (
    select covered.*,
        names = outcomes and case outcome_set
            when 'field' then outcomes >= 2 and coalesce(runner_coverage >= {{ parameter('field_coverage_min') }}, false)
            when 'three_way' then is_whole and outcomes = 3
            else is_whole and outcomes = 2
        end as is_complete
    from covered
),

judged as materialized (
    select completed.*,
        case
            when set_problem is not null then set_problem
            when not is_complete then 'incomplete'
            when outcome_set = 'field' and overround > {{ parameter('field_overround_max') }} then 'overround_too_high'
        end as quote_problem
    from completed
),

-- each set of numbers once, as books often say the same; placeholders give fields whose numbers say nothing
asked as materialized (
    select distinct exact_probabilities as implied_probabilities, overround from judged
    where is_complete and (outcome_set <> 'field' or quote_problem is null)
),

fair as materialized ({{ fair_values('asked') }})

select
    cast({{ dbt_utils.generate_surrogate_key([
        'judged.event_id', 'judged.bookmaker_key', 'judged.market_key', key_part('judged.description'), 'judged.line_point', 'judged.set_no'
    ]) }} as uuid) as set_id,
    judged.at, judged.event_id, judged.bookmaker_key, judged.market_key, judged.description, judged.line_point,
    cast(judged.set_no as integer) as set_no,
    judged.outcome_set, judged.outcome_names, judged.outcome_sides, judged.phase_as_known, judged.implied_probabilities,
    cast(judged.overround as numeric(18, 10)) as overround,
    case when judged.is_complete then cast(judged.overround as numeric(18, 10)) - 1 end as margin,
    case when judged.is_complete then cast(1 - round(1, 48) / judged.overround as numeric(18, 10)) end as hold,
    judged.is_complete, judged.runner_coverage,
    coalesce(
        judged.quote_problem,
        case
            when fair.implied_probabilities is null then null
            when fair.fair_additive is null then 'additive_negative'
            when round(judged.overround, 10) < 1 then 'underround'
        end
    ) as problem,
    judged.quote_problem is null as is_sound,
    {{ fair_basis('markets.family', 'judged.line_point') }} as fair_basis,
    fair.fair_multiplicative, fair.fair_additive, fair.fair_power, fair.fair_shin, fair.power_k, fair.shin_z
from judged
join markets on markets.market_key = judged.market_key
left join fair
    on fair.implied_probabilities = judged.exact_probabilities and judged.is_complete
    and (judged.outcome_set <> 'field' or judged.quote_problem is null)
{% endcall %}
