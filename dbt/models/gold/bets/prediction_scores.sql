{{ config(materialized='view') }}
-- What came of each prediction, and how near it was; beside it how near the close was.
{% set one_set = 'ledger, event_id, market_key, description, line_point, made_at' %}
with lined as ({{ entries_on_lines(ref('predictions')) }}),

-- one set: what a ledger held of one line at one time
counted as (
    select lined.*,
        case when bool_or(lined.outcome_set_expected = 'three_way') over one_set then 'three_way' else lined.outcome_set_expected end as outcome_set,
        count(*) over one_set as set_size,
        count(*) over (one_set_of_outcome) as times_named,
        sum(lined.probability) over one_set as probability_sum
    from lined
    window one_set as (partition by {{ one_set }}), one_set_of_outcome as (partition by {{ one_set }}, outcome_name)
),

looked as (
    select counted.*,
        max(counted.times_named) over (partition by {{ one_set }}) = 1
            and counted.set_size = case counted.outcome_set when 'three_way' then 3 when 'field' then -1 else 2 end as is_whole,
        max(counted.times_named) over (partition by {{ one_set }}) > 1 as is_repeated,
        phase.phase_as_known, reached.is_reached,
        settled.grade, settled.grade_reason, settled.won_share as outcome,
        cast(case when reached.is_reached then agreed.fair_median end as numeric(12, 10)) as close_probability,
        case when reached.is_reached then agreed.close_status end as close_status
    from counted
    left join lateral {{ phase_then('counted.event_id', 'counted.made_at') }} as phase on true
    cross join lateral {{ start_reached('counted') }} as reached
    left join lateral {{ grade_of('counted') }} as settled on true
    left join lateral {{ consensus_close_of('counted') }} as agreed on true
),

gathered as (
    select looked.*,
        array_agg(probability) over in_set as probabilities,
        array_agg(outcome) over in_set as outcomes,
        array_agg(close_probability) over in_set as close_probabilities,
        row_number() over (
            partition by {{ one_set }} order by outcome_side in ('home', 'over', 'yes') desc, outcome_name, prediction_id
        ) as nth
    from looked
    window in_set as (
        partition by {{ one_set }} order by outcome_name, prediction_id rows between unbounded preceding and unbounded following
    )
),

-- a whole set is one prediction, told by its first side; of another each stands by itself
told as (
    select gathered.*,
        case when is_whole and outcome_set = 'three_way' then 'three_way' else 'binary' end as scored_as,
        case
            when not is_known_event then 'unknown_event'
            when is_repeated then 'repeated'
            when is_whole and abs(probability_sum - 1) > {{ parameter('prediction_sum_slack') }} then 'incoherent'
            when made_at >= start_at or coalesce(phase_as_known = 'in_play', false) then 'after_start'
            when start_is_suspect or start_basis = 'kept_unproven' then 'suspect_start'
            when coalesce(grade, 'unresolved') = 'unresolved' or event_status = 'gone_early' then 'not_graded'
            -- of three outcomes one that nobody quoted
            when is_whole and array_position(outcomes, null) is not null then 'not_graded'
            when grade in ('push', 'void') then 'push'
            when coalesce(mod(abs(line_point), 0.5), 0) <> 0 then 'half_stake'
            else 'ok'
        end as status_alone
    from gathered
    where not is_whole or nth = 1
),

ranked as (
    select told.*,
        case
            -- of one time all count
            when status_alone = 'ok' and rank() over (
                partition by ledger, event_id, market_key, description, line_point, scored_as, status_alone,
                    case when outcome_set in ('three_way', 'field') and not is_whole then outcome_name end
                order by made_at desc
            ) > 1 then 'superseded'
            else status_alone
        end as status
    from told
),

scored as (
    select ranked.*,
        status in ('ok', 'superseded') as is_scored,
        case when scored_as = 'three_way' then probabilities[array_position(outcomes, 1.00)] else {{ probability_of_what_came('probability', 'outcome') }} end
            as held,
        case
            when scored_as = 'three_way' then close_probabilities[array_position(outcomes, 1.00)]
            else {{ probability_of_what_came('close_probability', 'outcome') }}
        end as close_held
    from ranked
)

select
    ledger, prediction_id, captured_at, first_captured_at, made_at, event_id, sport_key_known as sport_key, market_key, description,
    outcome_name, outcome_side, point, line_point, outcome_set, scored_as,
    cast(case when is_whole then set_size else 1 end as integer) as prediction_count,
    probability, start_at, status, grade, grade_reason,
    case when is_scored then cast(outcome as integer) end as outcome,
    cast(
        case
            when not is_scored then null
            when scored_as = 'three_way' then {{ brier_of_set('probabilities', 'outcomes') }}
            else {{ brier_of('probability', 'outcome') }}
        end as numeric(12, 10)
    ) as brier,
    cast(case when is_scored then {{ log_loss_of('held') }} end as numeric(12, 10)) as log_loss,
    close_status, close_probability,
    cast(
        case
            when not is_scored then null
            when scored_as = 'three_way' and array_position(close_probabilities, null) is null
                then {{ brier_of_set('close_probabilities', 'outcomes') }}
            when scored_as = 'binary' then {{ brier_of('close_probability', 'outcome') }}
        end as numeric(12, 10)
    ) as close_brier,
    cast(
        case
            -- of a set whose close lacks an outcome the close is not scored at all
            when is_scored and (scored_as = 'binary' or array_position(close_probabilities, null) is null) and close_held is not null
                then {{ log_loss_of('close_held') }}
        end as numeric(12, 10)
    ) as close_log_loss
from scored
