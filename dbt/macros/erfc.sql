{#-
  The complementary error function of a numeric that is not negative, to within 0.0000002: Abramowitz and Stegun, 7.1.26.
  Without floats, so that it is the same on every machine; null where x is.
-#}
{% macro erfc(x) -%}
(
    select
        round(
            (0.254829592 + (-0.284496736 + (1.421413741 + (-1.453152027 + 1.061405429 * t.t) * t.t) * t.t) * t.t) * t.t
            * exp(- round(least({{ x }}, 6) * least({{ x }}, 6), 24)),
            16
        )
    from (select round(round(1, 40) / (1 + 0.3275911 * least({{ x }}, 6)), 24) as t) as t
    where {{ x }} is not null
)
{%- endmacro %}
