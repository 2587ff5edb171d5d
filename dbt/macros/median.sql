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

{#- The place of a group's vote in the order of all votes on an outcome, whose columns are `of`. -#}
{% macro place_among(value, of) -%}
cast(row_number() over (partition by {{ of }} order by {{ value }}, operator_group) as integer)
{%- endmacro %}

{#- All votes on an outcome in that order. -#}
{% macro all_of(value, of) -%}
array_agg({{ value }}) over (
            partition by {{ of }} order by {{ value }}, operator_group rows between unbounded preceding and unbounded following
        )
{%- endmacro %}
