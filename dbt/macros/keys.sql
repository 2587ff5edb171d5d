{#-
  A free text as a part of a surrogate key. Parts are joined by '-', which names hold too: unescaped, the outcome `X-` at 1
  and the outcome `X` at -1 would have one key.
-#}
{% macro key_part(text) -%}
replace(replace({{ text }}, '~', '~0'), '-', '~1')
{%- endmacro %}
