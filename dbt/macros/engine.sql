{#-
  The SQL that differs between engines, each in one dispatched macro. Models use nothing else that is engine-specific.
-#}

{#- A JSON array as rows: `from a {{ each_element('a.document', 'e') }}` gives e.item and e.ordinal; keeps a's row when the array is empty. -#}
{% macro each_element(array, alias) %}{{ return(adapter.dispatch('each_element', 'sports_market')(array, alias)) }}{% endmacro %}
{% macro default__each_element(array, alias) -%}
left join lateral (
    -- offset 0 keeps the planner from merging the levels: each array is read once
    select elements.value as item, elements.ordinality as ordinal
    from jsonb_array_elements(case jsonb_typeof({{ array }}) when 'array' then {{ array }} else '[]'::jsonb end)
        with ordinality as elements
    offset 0
) as {{ alias }} on true
{%- endmacro %}

{% macro json_text(object, field) %}{{ return(adapter.dispatch('json_text', 'sports_market')(object, field)) }}{% endmacro %}
{% macro default__json_text(object, field) -%}({{ object }} ->> '{{ field }}'){%- endmacro %}

{% macro json_member(object, field) %}{{ return(adapter.dispatch('json_member', 'sports_market')(object, field)) }}{% endmacro %}
{% macro default__json_member(object, field) -%}({{ object }} -> '{{ field }}'){%- endmacro %}

{#- A document without the elements that are held back, an array of JSON pointers. -#}
{% macro admitted_part(document, held) %}{{ return(adapter.dispatch('admitted_part', 'sports_market')(document, held)) }}{% endmacro %}
{% macro default__admitted_part(document, held) -%}
case when {{ held }} = '{}' then {{ document }} else ops.without({{ document }}, {{ held }}) end
{%- endmacro %}

{#- A time of an answer, as a point in time: an ISO text with its offset (dateFormat=iso), or seconds since 1970 (unix). -#}
{% macro to_time(text) %}{{ return(adapter.dispatch('to_time', 'sports_market')(text)) }}{% endmacro %}
{% macro default__to_time(text) -%}
case
    -- an ISO text has a T between date and time; a JSON integer may be written with a fraction of zero
    when {{ text }} not like '%T%' then timestamptz 'epoch' + cast(cast({{ text }} as numeric) as bigint) * interval '1 second'
    else cast({{ text }} as timestamptz)
end
{%- endmacro %}

{#- Whole seconds from one time to another, cut toward minus infinity; what is longer than an integer holds (68 years) is as long as one. -#}
{% macro seconds_between(earlier, later) %}{{ return(adapter.dispatch('seconds_between', 'sports_market')(earlier, later)) }}{% endmacro %}
{% macro default__seconds_between(earlier, later) -%}
case
    -- least and greatest would take a null for no limit
    when {{ later }} - {{ earlier }} is not null
        then cast(greatest(-2147483648, least(2147483647, floor(extract(epoch from ({{ later }} - {{ earlier }}))))) as integer)
end
{%- endmacro %}

{% macro month_of(time) %}{{ return(adapter.dispatch('month_of', 'sports_market')(time)) }}{% endmacro %}
{% macro default__month_of(time) -%}cast(date_trunc('month', ({{ time }}) at time zone 'UTC') as date){%- endmacro %}

{#- The day (UTC) that a time lies in, and when a day begins. -#}
{% macro day_of(time) -%}cast(({{ time }}) at time zone 'UTC' as date){%- endmacro %}
{% macro start_of_day(day) -%}(cast(({{ day }}) as timestamp) at time zone 'UTC'){%- endmacro %}
