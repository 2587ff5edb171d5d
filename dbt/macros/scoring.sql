{#- Proper scores and their statistics, in numeric: every value is rounded to a stated scale before it enters another. -#}

{% macro horizons() -%}
(values (0), (1), (3), (6), (12), (24), (72), (168))
{%- endmacro %}

{% macro first_side(sides) -%}
coalesce(array_position({{ sides }}, 'home'), array_position({{ sides }}, 'over'), array_position({{ sides }}, 'yes'))
{%- endmacro %}

{% macro log_loss_of(probability) -%}
cast(-ln(round(least(greatest({{ probability }}, 0.000001), 0.999999), 24)) as numeric(12, 10))
{%- endmacro %}

{% macro mean_of(value) -%}
cast(round(sum({{ value }}), 40) / count(*) as numeric(12, 10))
{%- endmacro %}

{% macro standard_error_of(value) -%}
cast(
    sqrt(
        round(greatest(count(*) * sum({{ value }} * {{ value }}) - sum({{ value }}) * sum({{ value }}), 0), 40)
        / nullif(cast(count(*) as numeric) * count(*) * (count(*) - 1), 0)
    ) as numeric(12, 10)
)
{%- endmacro %}

{% macro wilson_bound(hits, n, way) -%}
cast(
    round(
        {{ hits }} + 1.920729410347062 {{ way }} 1.959963984540054
        * sqrt(round({{ hits }} * ({{ n }} - {{ hits }}), 40) / {{ n }} + 0.960364705173531),
        24
    ) / ({{ n }} + 3.841458820694124) as numeric(12, 10)
)
{%- endmacro %}

{% macro share_of(part, whole) -%}
cast(round({{ part }}, 40) / {{ whole }} as numeric(12, 10))
{%- endmacro %}

{#- Whether a quote of a status is a close. -#}
{% macro is_closing(close_status) -%}
{{ close_status }} in ('ok', 'aged')
{%- endmacro %}

{#- How good the closings of a group are together: as good as the oldest of them. -#}
{% macro worst_close(closing) -%}
case when bool_or({{ closing }}.close_status = 'aged') then 'aged' else 'ok' end
{%- endmacro %}

{#- Of two outcomes: the square of the error; null where either is. -#}
{% macro brier_of(probability, outcome) -%}
cast(({{ probability }} - {{ outcome }}) * ({{ probability }} - {{ outcome }}) as numeric(12, 10))
{%- endmacro %}

{#- Of all outcomes of a set: the squares of the errors together. -#}
{% macro brier_of_set(probabilities, outcomes) -%}
cast(
            (
                select sum((each.probability - each.outcome) * (each.probability - each.outcome))
                from unnest({{ probabilities }}, {{ outcomes }}) as each (probability, outcome)
            ) as numeric(12, 10)
        )
{%- endmacro %}

{#- What a probability held the case for that came (outcome 1) or its contrary (0), for log_loss_of. -#}
{% macro probability_of_what_came(probability, outcome) -%}
case {{ outcome }} when 1 then {{ probability }} when 0 then 1 - {{ probability }} end
{%- endmacro %}

{#-
  Tenths of probability: joins the bin of one, from 0 to 9; the counts of a bin; and what is told of it. The ten are listed, as the
  server takes a plain expression to have as many values as there are probabilities, and sorts them all.
-#}
{% macro with_bin(probability) -%}
join generate_series(0, 9) as bins (bin) on bins.bin = cast(least(floor({{ probability }} * 10), 9) as integer)
{%- endmacro %}

{% macro bin_counts() -%}
count(*) as n,
        cast(sum(outcome) as numeric) as hits,
        {{ mean_of('probability') }} as mean_probability,
        {{ mean_of('outcome') }} as hit_rate
{%- endmacro %}

{% macro bin_columns(n) -%}
cast(n as integer) as {{ n }},
    mean_probability, hit_rate,
    cast(greatest({{ wilson_bound('hits', 'n', '-') }}, 0) as numeric(12, 10)) as hit_rate_low,
    cast(least({{ wilson_bound('hits', 'n', '+') }}, 1) as numeric(12, 10)) as hit_rate_high,
    n >= {{ parameter('calibration_min_events') }} as publishable
{%- endmacro %}
