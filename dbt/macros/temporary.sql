{#-
  dbt's unit tests ask for a temporary table, to learn the types of a model's columns from it. No role of the pipeline may make one,
  so the transformer makes a table in its own schema, which dbt drops within the same transaction.
-#}
{% macro postgres__make_temp_relation(base_relation, suffix) %}
    {{ return(postgres__make_relation_with_suffix(base_relation, suffix, dstring=True)) }}
{% endmacro %}

{% macro postgres__get_create_table_as_sql(temporary, relation, sql) %}
    {{ return(default__get_create_table_as_sql(False, relation, sql)) }}
{% endmacro %}
