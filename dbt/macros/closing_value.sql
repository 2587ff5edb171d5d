{#- What a price was worth by the close: what closings and clv share. -#}

{#-
  What a book's sound set on a line held an outcome for at a time, for `cross join lateral`: outcome_set, fair_basis,
  rounded_overround (as quotes has it), q (of the price) and probability. `row` has event_id, bookmaker_key, market_key, description and outcome_name.
-#}
{% macro fair_then(row, line_point, at) -%}
(
            select held.outcome_set, held.fair_basis, outcome.q, outcome.probability,
                (select sum(each.q) from unnest(held.implied_probabilities) as each (q)) as rounded_overround
            from (
                select m.outcome_set, m.fair_basis, m.is_sound, m.outcome_names, m.implied_probabilities, m.fair_power, m.valid_to
                from {{ ref('margins') }} as m
                where m.set_id = {{ set_id_of(row, line_point) }} and m.valid_from <= {{ at }}
                order by m.valid_from desc limit 1
            ) as held
            cross join lateral unnest(held.outcome_names, held.implied_probabilities, held.fair_power) as outcome (name, q, probability)
            where held.is_sound and (held.valid_to is null or held.valid_to > {{ at }})
                and outcome.name = {{ row }}.outcome_name
        )
{%- endmacro %}

{#-
  Closing line value, three ways and in points, of a row with price_taken, price_closing, consensus_closing, probability_taken,
  probability_closing, point_taken, point_closing, outcome_side and is_comparable: whether the book closed on the same line.
-#}
{% macro clv_measures(row) -%}
cast(case when {{ row }}.is_comparable then {{ row }}.price_taken * {{ row }}.consensus_closing - 1 end as numeric(16, 10)) as clv_ev,
    cast(
        case when {{ row }}.is_comparable then round({{ row }}.price_taken, 40) / {{ row }}.price_closing - 1 end as numeric(16, 10)
    ) as clv_price,
    cast(
        case when {{ row }}.is_comparable then 100 * ({{ row }}.probability_closing - {{ row }}.probability_taken) end as numeric(12, 8)
    ) as clv_probability,
    -- above 0 where the bettor has the better point
    cast(
        case
            when {{ row }}.outcome_side in ('home', 'away', 'under') then {{ row }}.point_taken - {{ row }}.point_closing
            when {{ row }}.outcome_side = 'over' then {{ row }}.point_closing - {{ row }}.point_taken
        end as numeric(8, 3)
    ) as clv_points
{%- endmacro %}
