{#- Prices and probabilities, exact: no float on the way. Null where the native price is none (a decimal below 1, an American one within 100). -#}

{% macro price_decimal(price_native, odds_format) -%}
cast(
    case
        when {{ odds_format }} = 'decimal' and {{ price_native }} >= 1 then {{ price_native }}
        when {{ odds_format }} = 'american' and {{ price_native }} >= 100 then 1 + {{ price_native }} / 100
        when {{ odds_format }} = 'american' and {{ price_native }} <= -100 then 1 + 100 / abs({{ price_native }})
    end as numeric(14, 8)
)
{%- endmacro %}

{% macro implied_probability(price_native, odds_format) -%}
cast({{ implied_by(price_native, odds_format, '1', '100', 'abs(' ~ price_native ~ ')') }} as numeric(12, 10))
{%- endmacro %}

{#- The same to 40 places, for what is computed from several of them. -#}
{% macro implied_exactly(price_native, odds_format) -%}
round({{ implied_by(price_native, odds_format, 'round(1, 48)', 'round(100, 48)', 'round(abs(' ~ price_native ~ '), 48)') }}, 40)
{%- endmacro %}

{#- One over the decimal price, of which the dividends tell to how many places: 1, 100, and the native price without its sign. -#}
{% macro implied_by(price_native, odds_format, one, hundred, unsigned) -%}
case
        when {{ odds_format }} = 'decimal' and {{ price_native }} >= 1 then {{ one }} / {{ price_native }}
        when {{ odds_format }} = 'american' and {{ price_native }} >= 100 then {{ hundred }} / ({{ price_native }} + 100)
        when {{ odds_format }} = 'american' and {{ price_native }} <= -100 then {{ unsigned }} / (abs({{ price_native }}) + 100)
    end
{%- endmacro %}

{#-
  Whether one price, given in two formats, differs by more than their rounding, by what its columns begin with, such as `was` of was_native and was_decimal.
  What is no price differs from any price; of two numbers that are none the numbers tell.
-#}
{% macro prices_differ(one, other) -%}
coalesce(
    abs({{ one }}_decimal - {{ other }}_decimal) > {{ format_rounding(other ~ '_decimal') }},
    ({{ one }}_decimal, {{ one }}_native) is distinct from ({{ other }}_decimal, {{ other }}_native)
)
{%- endmacro %}

{#- How far apart one price may lie in two formats, by their rounding. -#}
{% macro format_rounding(price_decimal) -%}
0.006 + 0.0005 * {{ price_decimal }} * {{ price_decimal }}
{%- endmacro %}

{#- A value of the parameters seed, as numeric. -#}
{% macro parameter(name) -%}
(select value from {{ ref('parameters') }} where name = '{{ name }}')
{%- endmacro %}

{% macro parameter_interval(name) -%}
(cast({{ parameter(name) }} as integer) * interval '1 second')
{%- endmacro %}

{#- What is held back across books at the best prices of a line, by the window of its outcomes; null where an outcome has none. -#}
{% macro hold_across(price_decimal, outcome_set, one_line='one_line') -%}
case
            when count(*) over {{ one_line }} = case {{ outcome_set }} when 'three_way' then 3 when 'field' then -1 else 2 end
                then cast(1 - 1 / sum(1 / {{ price_decimal }}) over {{ one_line }} as numeric(16, 10))
        end
{%- endmacro %}
