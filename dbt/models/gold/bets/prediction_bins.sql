{{ config(materialized='view') }}
-- Of the outcomes that a ledger held for some 30 %: how many came, and what did the close hold them for?
with binned as (
    select p.ledger, p.sport_key, p.market_key, p.outcome_set, p.scored_as, p.probability, p.outcome, p.close_probability,
        bins.bin
    from {{ ref('prediction_scores') }} as p
    {{ with_bin('p.probability') }}
    where p.status = 'ok'
),

counted as (
    select ledger, sport_key, market_key, outcome_set, scored_as, bin, {{ bin_counts() }}
    from binned
    group by ledger, sport_key, market_key, outcome_set, scored_as, bin
),

beside_the_close as (
    select ledger, sport_key, market_key, outcome_set, scored_as, bin,
        cast(count(*) as integer) as common_n,
        {{ mean_of('probability') }} as common_mean_probability,
        {{ mean_of('close_probability') }} as common_close_probability,
        {{ mean_of('outcome') }} as common_hit_rate
    from binned
    where close_probability is not null
    group by ledger, sport_key, market_key, outcome_set, scored_as, bin
)

select
    ledger, sport_key, market_key, outcome_set, scored_as, bin, {{ bin_columns('n_predictions') }},
    coalesce(common.common_n, 0) as common_n,
    common.common_mean_probability, common.common_close_probability, common.common_hit_rate
from counted
left join beside_the_close as common using (ledger, sport_key, market_key, outcome_set, scored_as, bin)
