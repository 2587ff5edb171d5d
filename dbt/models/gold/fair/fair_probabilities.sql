{{ config(materialized='view') }}
-- margins with a row per outcome.
select
    margins.set_id, margins.event_id, margins.sport_key, margins.bookmaker_key, margins.market_key, margins.description,
    margins.line_point, margins.set_no, margins.outcome_set, outcome.outcome_name, outcome.outcome_side,
    margins.phase_as_known, margins.valid_from, margins.valid_to,
    cast(outcome.implied_probability as numeric(12, 10)) as implied_probability,
    cast(outcome.fair_multiplicative as numeric(12, 10)) as fair_multiplicative,
    cast(outcome.fair_additive as numeric(12, 10)) as fair_additive,
    cast(outcome.fair_power as numeric(12, 10)) as fair_power,
    cast(outcome.fair_shin as numeric(12, 10)) as fair_shin,
    margins.overround, margins.hold, margins.is_sound, margins.problem, margins.fair_basis
from {{ ref('margins') }} as margins
cross join lateral unnest(
    margins.outcome_names, margins.outcome_sides, margins.implied_probabilities, margins.fair_multiplicative,
    margins.fair_additive, margins.fair_power, margins.fair_shin
) as outcome (
    outcome_name, outcome_side, implied_probability, fair_multiplicative, fair_additive, fair_power, fair_shin
)
where margins.is_complete
