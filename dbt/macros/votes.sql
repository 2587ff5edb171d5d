{#-
  How books agree on a line: one vote per operator group. `outcomes` names a CTE of a row per book and outcome with bookmaker_key,
  operator_group, sharp_weight, is_exchange, overround, phase_as_known, outcome_set, outcome_name, ratio (implied probability / overround),
  probability (fair), and the columns that tell lines apart, whose names are `line`.
-#}

{#- Each vote with whether its set is far from the others'; the set counts whole or not at all, of a field the runner alone drops out. -#}
{% macro votes_against_others(outcomes, line) -%}
{%- set line_columns = line | join(', ') -%}
-- a group's lowest margin is what the others are compared with
with voices as (
    select
        {{ outcomes }}.*,
        row_number() over (
            partition by {{ line_columns }}, outcome_name, operator_group order by overround, bookmaker_key
        ) = 1 as is_compared
    from {{ outcomes }}
),

compared_voices as (
    select voices.*,
        array_agg(ratio) filter (where is_compared) over one_outcome as ordered_ratios,
        array_agg(operator_group) filter (where is_compared) over one_outcome as ordered_groups
    from voices
    window one_outcome as (
        partition by {{ line_columns }}, outcome_name
        order by ratio, operator_group, bookmaker_key
        rows between unbounded preceding and unbounded following
    )
)

select compared_voices.*,
    coalesce(
        bool_or(
            cardinality(ordered_ratios) - 1 >= {{ parameter('outlier_min_groups') }}
            and abs(ratio - {{ median_of_others('ordered_ratios', 'array_position(ordered_groups, operator_group)') }}) > {{ outlier_limit('phase_as_known') }}
        ) over (partition by {{ line_columns }}, bookmaker_key, case when outcome_set = 'field' then outcome_name end),
        false
    ) as is_outlier
from compared_voices
{%- endmacro %}

{#- The votes of sets that are not far from the others', and who of an operator group speaks. -#}
{% macro votes_that_count(outcomes, line) -%}
{%- set line_columns = line | join(', ') -%}
with against_others as ({{ votes_against_others(outcomes, line) }})

select against_others.*,
    row_number() over (
        partition by {{ line_columns }}, outcome_name, operator_group order by overround, bookmaker_key
    ) = 1 as speaks
from against_others where not is_outlier
{%- endmacro %}

{#- How far from the others' median a vote may be, by its phase. -#}
{% macro outlier_limit(phase) -%}
case when {{ phase }} = 'pre' then {{ parameter('outlier_pre') }} else {{ parameter('outlier_in_play') }} end
{%- endmacro %}

{% macro counted_votes() -%}
cast(count(*) as integer) as book_count,
        cast(count(*) filter (where speaks) as integer) as group_count,
        {{ median_of('array_agg(probability order by probability) filter (where speaks)') }} as median,
        sum(probability) filter (where speaks) as probability_sum,
        min(probability) filter (where speaks) as probability_min,
        max(probability) filter (where speaks) as probability_max,
        sum(probability * probability) filter (where speaks) as square_sum,
        sum(sharp_weight) filter (where speaks) as sharp_weight_total,
        sum(sharp_weight * probability) filter (where speaks) as sharp_sum,
        case
            when bool_or(speaks and sharp_weight > 0 and operator_group = 'pinnacle') then 'pinnacle'
            when bool_or(speaks and sharp_weight > 0 and is_exchange) then 'exchange'
            else 'us_proxy'
        end as sharpest
{%- endmacro %}

{% macro share_of_medians(median, median_sum) -%}
cast(round({{ median }}, 40) / {{ median_sum }} as numeric(12, 10))
{%- endmacro %}

{% macro agreed_values() -%}
case when is_enough then {{ share_of_medians('median', 'median_sum') }} end as fair_median,
        case when is_enough then cast(round(probability_sum, 40) / group_count as numeric(12, 10)) end as fair_mean,
        case
            when is_enough and sharp_weight_total >= {{ parameter('sharp_weight_min') }}
                then cast(round(sharp_sum, 40) / sharp_weight_total as numeric(12, 10))
        end as fair_sharp,
        case when is_enough and sharp_weight_total >= {{ parameter('sharp_weight_min') }} then sharpest else 'none' end as sharp_basis
{%- endmacro %}
