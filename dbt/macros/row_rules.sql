{#- Rules of a row, each a name and a condition over the row's alias. One that is null is broken. -#}

{#- Whether a row breaks any of them: asked of every row, so it is an expression and no list. -#}
{% macro breaks_any(rules) -%}
not (
    {%- for _, condition in rules %}
    ({{ condition }}) is true{{ " and" if not loop.last }}
    {%- endfor %}
)
{%- endmacro %}

{#- The names of those that a row breaks, as a set: an array, as a list of VALUES is prepared anew for each row. -#}
{% macro broken_of(rules) -%}
unnest(array_remove(array[
    {%- for name, condition in rules %}
    case when ({{ condition }}) is not true then '{{ name }}' end{{ "," if not loop.last }}
    {%- endfor %}
], null))
{%- endmacro %}
