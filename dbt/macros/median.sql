{#- The median of an ordered array without the element at one position (both from 1); null where nothing is left. -#}
{% macro median_of_others(ordered, position) -%}
case
    when cardinality({{ ordered }}) < 2 then null
    else (
        {{ nth_of_others(ordered, position, "cardinality(" ~ ordered ~ ") / 2") }}
        + {{ nth_of_others(ordered, position, "(cardinality(" ~ ordered ~ ") + 1) / 2") }}
    ) / 2
end
{%- endmacro %}

{% macro nth_of_others(ordered, position, n) -%}
({{ ordered }})[{{ n }} + case when {{ position }} <= {{ n }} then 1 else 0 end]
{%- endmacro %}

{#- The median of an ordered array; null where it is empty. -#}
{% macro median_of(ordered) -%}
((({{ ordered }})[(cardinality({{ ordered }}) + 1) / 2] + ({{ ordered }})[(cardinality({{ ordered }}) + 2) / 2]) / 2)
{%- endmacro %}
