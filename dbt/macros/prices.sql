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
cast(
    case
        when {{ odds_format }} = 'decimal' and {{ price_native }} >= 1 then 1 / {{ price_native }}
        when {{ odds_format }} = 'american' and {{ price_native }} >= 100 then 100 / ({{ price_native }} + 100)
        when {{ odds_format }} = 'american' and {{ price_native }} <= -100 then abs({{ price_native }}) / (abs({{ price_native }}) + 100)
    end as numeric(12, 10)
)
{%- endmacro %}

{#- A value of the parameters seed, as numeric. -#}
{% macro parameter(name) -%}
(select value from {{ ref('parameters') }} where name = '{{ name }}')
{%- endmacro %}

{#- A value of the parameters seed that is a time in seconds, as an interval. -#}
{% macro parameter_interval(name) -%}
(cast({{ parameter(name) }} as integer) * interval '1 second')
{%- endmacro %}
