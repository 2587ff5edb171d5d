{#-
  Fair probabilities of sets, each macro a complete select. The two methods that need a root find it by Newton's method on a convex
  function, from the left of the root, where no step passes it. Every value is rounded to 34 places, and widened to 48 before a
  division, so that the result does not depend on a server's own choice of digits; results are rounded once, at the end. `asked`
  names a CTE of distinct implied_probabilities (an array of probabilities within (0, 1), to 40 places) and their sum to 32,
  overround, which is 1 where they sum to it.
-#}

{#- implied_probabilities, power_k, fair_power: q^k with k such that they sum to 1. sum(q^k) - 1 falls and is convex in k;
    it is not below 0 at k = 1 where the overround is at least 1, and never at k = 0. -#}
{% macro fair_power(asked) -%}
with recursive steps (implied_probabilities, logs, k, step, nth) as (
    select asked.implied_probabilities,
        array(
            select round(ln(round(q.q, 34)), 34)
            from unnest(asked.implied_probabilities) with ordinality as q (q, place)
            order by q.place
        ),
        cast(case when asked.overround >= 1 then 1 else 0 end as numeric),
        cast(1 as numeric),
        0
    from {{ asked }} as asked
    union all
    select before.implied_probabilities, before.logs, round(before.k + newton.step, 34), newton.step, before.nth + 1
    from steps as before
    cross join lateral (
        select round((sum(terms.term) - 1) / nullif(-sum(round(terms.term * terms.log, 34)), 0), 34) as step
        from (
            select round(exp(round(before.k * logs.log, 34)), 34) as term, logs.log
            from unnest(before.logs) as logs (log)
        ) as terms
    ) as newton
    where before.step > 1e-17 and before.nth < 100
)

select
    solved.implied_probabilities,
    cast(solved.k as numeric(20, 10)) as power_k,
    array(
        select cast(exp(round(solved.k * logs.log, 34)) as numeric(12, 10))
        from unnest(solved.logs) with ordinality as logs (log, place)
        order by logs.place
    ) as fair_power
from (
    select distinct on (implied_probabilities) steps.implied_probabilities, steps.logs, steps.k
    from steps
    order by implied_probabilities, nth desc
) as solved
{%- endmacro %}

{#- implied_probabilities, shin_z, fair_shin, for three outcomes or more and an overround of at least 1. With
    a = q^2 / overround and r(z) = sqrt(z^2 + 4 (1 - z) a), the probabilities 2a / (r + z) sum to 1 where
    sum(r) - (n - 2) z - 2 = 0, which is convex in z and falls from z = 0 on until its first root. -#}
{% macro fair_shin(asked) -%}
with recursive steps (implied_probabilities, squares, z, step, nth) as (
    select asked.implied_probabilities,
        array(
            select round(round(q.q * q.q, 48) / asked.overround, 34)
            from unnest(asked.implied_probabilities) with ordinality as q (q, place)
            order by q.place
        ),
        cast(0 as numeric),
        cast(1 as numeric),
        0
    from {{ asked }} as asked
    where round(asked.overround, 10) >= 1 and cardinality(asked.implied_probabilities) > 2
    union all
    select before.implied_probabilities, before.squares, round(before.z + newton.step, 34), newton.step, before.nth + 1
    from steps as before
    cross join lateral (
        select
            round(
                (sum(roots.r) - (count(*) - 2) * before.z - 2)
                / nullif((count(*) - 2) - sum(round((before.z - 2 * roots.a) / roots.r, 34)), 0),
                34
            ) as step
        from (
            select squares.a, round(sqrt(round(before.z * before.z + 4 * (1 - before.z) * squares.a, 48)), 34) as r
            from unnest(before.squares) as squares (a)
        ) as roots
    ) as newton
    where before.step > 1e-17 and before.nth < 100
)

select
    solved.implied_probabilities,
    cast(solved.z as numeric(12, 10)) as shin_z,
    array(
        select
            cast(
                2 * squares.a / (sqrt(round(solved.z * solved.z + 4 * (1 - solved.z) * squares.a, 48)) + solved.z)
                as numeric(12, 10)
            )
        from unnest(solved.squares) with ordinality as squares (a, place)
        order by squares.place
    ) as fair_shin
from (
    select distinct on (implied_probabilities) steps.implied_probabilities, steps.squares, steps.z
    from steps
    order by implied_probabilities, nth desc
) as solved
{%- endmacro %}

{#- implied_probabilities, fair_multiplicative, fair_additive, fair_power, power_k, fair_shin and shin_z of each set of numbers. -#}
{% macro fair_values(asked) -%}
with powers as materialized ({{ fair_power(asked) }}),
shins as materialized ({{ fair_shin(asked) }}),

ratios as (
    select asked.implied_probabilities,
        array(
            select cast(round(q.q, 48) / asked.overround as numeric(12, 10))
            from unnest(asked.implied_probabilities) with ordinality as q (q, place)
            order by q.place
        ) as fair_multiplicative,
        array(
            select cast(q.q - round(asked.overround - 1, 48) / cardinality(asked.implied_probabilities) as numeric(12, 10))
            from unnest(asked.implied_probabilities) with ordinality as q (q, place)
            order by q.place
        ) as shared_out,
        case
            when cardinality(asked.implied_probabilities) = 2 and round(asked.overround, 10) >= 1
                then (asked.implied_probabilities[1] - asked.implied_probabilities[2])
                    * (asked.implied_probabilities[1] - asked.implied_probabilities[2])
        end as gap_squared
    from {{ asked }} as asked
)

select
    asked.implied_probabilities, ratios.fair_multiplicative,
    case when 0 < all (ratios.shared_out) then ratios.shared_out end as fair_additive,
    powers.power_k, powers.fair_power,
    case
        when ratios.gap_squared is null then shins.shin_z
        else cast(
            round((asked.overround - 1) * (ratios.gap_squared - asked.overround), 48)
            / (asked.overround * (ratios.gap_squared - 1))
            as numeric(12, 10)
        )
    end as shin_z,
    case when ratios.gap_squared is null then shins.fair_shin else ratios.shared_out end as fair_shin
from {{ asked }} as asked
join ratios on ratios.implied_probabilities = asked.implied_probabilities
join powers on powers.implied_probabilities = asked.implied_probabilities
left join shins on shins.implied_probabilities = asked.implied_probabilities
{%- endmacro %}

{#- What a set of margins, over alias `m` as of `at`, holds an outcome for at that very price, for `left join lateral`. -#}
{% macro fair_of_price(set_id, outcome_name, implied_probability, at) -%}
(
    select outcome.probability, found.outcome_set
    from (
        select m.outcome_set, m.outcome_names, m.implied_probabilities, m.fair_power
        from {{ ref('margins') }} as m where m.set_id = {{ set_id }} and {{ at }}
        order by m.valid_from desc limit 1
    ) as found
    cross join lateral unnest(found.outcome_names, found.implied_probabilities, found.fair_power) as outcome (name, q, probability)
    -- null: what is no price is in no sound set
    where outcome.name = {{ outcome_name }} and outcome.q = {{ implied_probability }}
)
{%- endmacro %}
