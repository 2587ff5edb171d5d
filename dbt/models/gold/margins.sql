{{ config(
    row_key=['set_id', 'valid_from'],
    scope=rows_of_tails('gold.margins', by='line'),
    hash_joins=true,
    scope_key='event_id',
    indexes=[{'columns': ['event_id', 'valid_to']}],
) }}
-- What each book's set of prices adds up to, and the probabilities without its margin, over time.
with recursive {{ touched('line') }},

{{ keys_of_touched() }},

reaching as materialized (
    select
        touched.tail_from,
        history.series_id, history.line_rank, history.event_id, history.bookmaker_key, history.market_key,
        history.description, history.line_point, history.outcome_name, history.outcome_side, history.implied_probability,
        history.phase_as_known, history.valid_from, history.valid_to
    from touched
    cross join lateral {{ reaching_rows(ref('price_history'), by='line') }} as history
    where history.price_side = 'back'
),

markets as materialized (
    select shown.market_key, rule.family
    from (select distinct market_key from reaching) as shown
    cross join lateral {{ market_rule('shown.market_key') }} as rule
),

-- What one change may bear on: a line of one book; of outrights all books, as a field is complete only against the others.
quoted as materialized (
    select
        reaching.*,
        markets.family,
        {{ line_key('reaching', before="case when markets.family = 'outrights' then '' else reaching.bookmaker_key end") }} as cell_key
    from reaching
    join markets on markets.market_key = reaching.market_key
),

-- the times from the tail's beginning on at which something changed there
times as materialized (
    {{ times_of_change('cell_key') }}
),

standing_then as (
    select
        times.at,
        quoted.*
    from {{ times_with_standing('cell_key') }}
),

-- what the last answer then said of the quote's set
told as materialized (
    select
        standing_then.*,
        quote.exchange_id,
        quote.captured_at,
        quote.moment_at,
        quote.place,
        quote.duplicate_no,
        quote.outcome_set,
        quote.is_complete,
        quote.problem
    from standing_then
    cross join lateral {{ quote_then('standing_then', ['exchange_id', 'captured_at', 'moment_at', 'place', 'duplicate_no', 'outcome_set', 'is_complete', 'problem']) }} as quote
),

-- of several answers that speak for a set's outcomes, the newest speaks for the set
sets as (
    select
        at, event_id, cell_key, bookmaker_key, market_key, description, line_point, duplicate_no as set_no,
        min(family) as family,
        -- in_play, where any of them is
        min(phase_as_known) as phase_as_known,
        array_agg(outcome_name order by outcome_name) as outcome_names,
        array_agg(outcome_side order by outcome_name) as outcome_sides,
        array_agg(implied_probability order by outcome_name) as implied_probabilities,
        count(distinct outcome_name) as names,
        count(*) as outcomes,
        cast(sum(implied_probability) as numeric(18, 10)) as overround,
        (array_agg(outcome_set order by captured_at desc, moment_at desc, place, exchange_id))[1] as outcome_set,
        -- of several answers at one time a stored price may be that of one without a price, and the set another's
        (array_agg(is_complete order by captured_at desc, moment_at desc, place, exchange_id))[1] and count(implied_probability) = count(*) as is_whole,
        coalesce(
            (array_agg(problem order by captured_at desc, moment_at desc, place, exchange_id))[1],
            case when count(implied_probability) < count(*) then 'price_out_of_range' end
        ) as set_problem
    from told
    group by at, event_id, cell_key, bookmaker_key, market_key, description, line_point, duplicate_no
),

-- every runner that any book's field has then
fields as (
    select sets.at, sets.event_id, sets.cell_key, count(distinct runner.outcome_name) as runners
    from sets
    cross join lateral unnest(sets.outcome_names) as runner (outcome_name)
    where sets.outcome_set = 'field' and sets.set_problem is null
    group by sets.at, sets.event_id, sets.cell_key
),

covered as (
    select
        sets.*,
        case
            when sets.outcome_set = 'field' and sets.set_problem is null
                then cast(round(sets.names, 40) / fields.runners as numeric(12, 10))
        end as runner_coverage
    from sets
    left join fields
        on fields.at = sets.at
        and fields.event_id = sets.event_id
        and fields.cell_key = sets.cell_key
),

completed as (
    select
        covered.*,
        names = outcomes and case outcome_set
            when 'field' then outcomes >= 2 and coalesce(runner_coverage >= {{ parameter('field_coverage_min') }}, false)
            when 'three_way' then is_whole and outcomes = 3
            else is_whole and outcomes = 2
        end as is_complete
    from covered
),

judged as (
    select
        completed.*,
        case
            when set_problem is not null then set_problem
            when not is_complete then 'incomplete'
            when outcome_set = 'field' and overround > {{ parameter('field_overround_max') }} then 'overround_too_high'
        end as quote_problem
    from completed
),

keyed as materialized (
    select
        cast({{ dbt_utils.generate_surrogate_key(
            ['event_id', 'bookmaker_key', 'market_key', key_part('description'), 'line_point', 'set_no']
        ) }} as uuid) as set_id,
        judged.*,
        -- placeholders give fields whose numbers say nothing
        is_complete and (outcome_set <> 'field' or quote_problem is null) as is_fair
    from judged
),

reaching_in as materialized (
    select standing.*
    from touched
    cross join lateral {{ reaching_rows(this, by='line') }} as standing
    where standing.valid_from < touched.tail_from
),

known as (
    select
        set_id, event_id, cell_key
    from keyed
    union
    select
        standing.set_id, standing.event_id,
        {{ line_key('standing', before="case when rule.family = 'outrights' then '' else standing.bookmaker_key end") }} as cell_key
    from reaching_in as standing
    join (
        select shown.market_key, market.family
        from (select distinct market_key from reaching_in) as shown
        cross join lateral {{ market_rule('shown.market_key') }} as market
    ) as rule on rule.market_key = standing.market_key
),

timeline as (
    select
        known.set_id, times.at, keyed.set_id is not null as is_quoted, false as reaches_in,
        keyed.outcome_set, keyed.outcome_names, keyed.implied_probabilities, keyed.phase_as_known, keyed.is_complete,
        keyed.runner_coverage, keyed.quote_problem
    from known
    join times
        on times.event_id = known.event_id
        and times.cell_key = known.cell_key
    left join keyed on keyed.set_id = known.set_id and keyed.at = times.at
    union all
    select
        set_id, valid_from, true, true,
        outcome_set, outcome_names, implied_probabilities, phase_as_known, is_complete,
        runner_coverage, case when not is_sound then problem end
    from reaching_in
),

compared as (
    select
        timeline.*,
        is_quoted <> coalesce(lag(is_quoted) over one_set, false)
        or (
            is_quoted
            and {{ differs_from_before(
                ['outcome_set', 'outcome_names', 'implied_probabilities', 'phase_as_known', 'is_complete', 'runner_coverage', 'quote_problem'],
                'set_id'
            ) }}
        ) as is_change
    from timeline
    window one_set as (partition by set_id order by at)
),

stretches as materialized (
    select
        compared.set_id, compared.at, compared.is_quoted, compared.reaches_in,
        lead(compared.at) over (partition by compared.set_id order by compared.at) as valid_to
    from compared
    where compared.is_change
),

begun as materialized (
    select keyed.*, stretches.valid_to
    from stretches
    join keyed on keyed.set_id = stretches.set_id and keyed.at = stretches.at
    where stretches.is_quoted and not stretches.reaches_in
),

-- each set of numbers once: books often say the same
asked as materialized (
    select distinct implied_probabilities, overround from begun where is_fair
),

{{ fair_values('fair', 'asked') }},

written as (
    select
        begun.set_id, begun.event_id, event_keys.sport_key, begun.bookmaker_key, begun.market_key, begun.description, begun.line_point,
        cast(begun.set_no as integer) as set_no,
        begun.outcome_set, begun.outcome_names, begun.outcome_sides, begun.phase_as_known,
        begun.at as valid_from,
        begun.valid_to,
        begun.implied_probabilities,
        begun.overround,
        case when begun.is_complete then cast(begun.overround - 1 as numeric(18, 10)) end as margin,
        case when begun.is_complete then cast(1 - round(1, 40) / begun.overround as numeric(18, 10)) end as hold,
        begun.is_complete,
        begun.runner_coverage,
        coalesce(
            begun.quote_problem,
            case
                when not begun.is_fair then null
                when fair.fair_additive is null then 'additive_negative'
                when begun.overround < 1 then 'underround'
            end
        ) as problem,
        begun.quote_problem is null as is_sound,
        {{ fair_basis('begun.family', 'begun.line_point') }} as fair_basis,
        fair.fair_multiplicative, fair.fair_additive, fair.fair_power, fair.fair_shin, fair.power_k, fair.shin_z
    from begun
    {{ with_sport_key('begun.event_id', 'begun.at') }}
    left join fair on begun.is_fair and fair.implied_probabilities = begun.implied_probabilities
)

select
    set_id, event_id, sport_key, bookmaker_key, market_key, description, line_point, set_no, outcome_set, outcome_names,
    outcome_sides, phase_as_known, valid_from, valid_to, implied_probabilities, overround, margin, hold, is_complete,
    runner_coverage, problem, is_sound, fair_basis, fair_multiplicative, fair_additive, fair_power, fair_shin, power_k, shin_z
from written
union all
select
    standing.set_id, standing.event_id, standing.sport_key, standing.bookmaker_key, standing.market_key, standing.description,
    standing.line_point, standing.set_no, standing.outcome_set, standing.outcome_names, standing.outcome_sides,
    standing.phase_as_known, standing.valid_from, stretches.valid_to, standing.implied_probabilities, standing.overround,
    standing.margin, standing.hold, standing.is_complete, standing.runner_coverage, standing.problem, standing.is_sound,
    standing.fair_basis, standing.fair_multiplicative, standing.fair_additive, standing.fair_power, standing.fair_shin,
    standing.power_k, standing.shin_z
from reaching_in as standing
join stretches on stretches.set_id = standing.set_id and stretches.at = standing.valid_from and stretches.reaches_in
