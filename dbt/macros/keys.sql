{#-
  A free text as a part of a surrogate key. Parts are joined by '-', which names hold too: unescaped, the outcome `X-` at 1
  and the outcome `X` at -1 would have one key.
-#}
{% macro key_part(text) -%}
replace(replace({{ text }}, '~', '~0'), '-', '~1')
{%- endmacro %}


{#- The set_id in margins of a row's line, by the row's alias and the line's point: that of the first set, if a book shows several. -#}
{% macro set_id_of(row, line_point) -%}
cast({{ dbt_utils.generate_surrogate_key([
    row ~ '.event_id', row ~ '.bookmaker_key', row ~ '.market_key', key_part(row ~ '.description'), line_point, '1'
]) }} as uuid)
{%- endmacro %}
