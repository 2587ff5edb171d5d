{#-
  Months. A model with `by_month=true` is partitioned by the month of `captured_at`; older months may be archived: their rows
  are in a recording, and no longer here. Archived is always everything before one month.
-#}

{% macro models_by_month() -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.get('by_month') -%}
        {%- do found.append(node.schema ~ '.' ~ node.alias) -%}
    {%- endfor -%}
    {{ return(found | sort) }}
{%- endmacro %}

{% macro months_of_pending() -%}
array(select distinct {{ month_of('pending.captured_at') }} from ops.pending as pending order by 1)
{%- endmacro %}

{% macro refuse_archived(times) -%}
do $$
declare
    needed text;
begin
    if exists (select 1 from ops.archived_months) then
        select string_agg(to_char(archived.month, 'YYYY-MM'), ', ' order by archived.month) into needed
        from ops.archived_months as archived
        where archived.month >= (select {{ month_of('min(wanted.at)') }} from unnest({{ times }}) as wanted (at));
        if needed is not null then
            raise exception 'MONTHS_ARCHIVED: this needs months that are archived: %. Bring them back with `sports-market archive --restore`.', needed
                using errcode = 'object_not_in_prerequisite_state';
        end if;
    end if;
end
$$;
{%- endmacro %}

{% macro kept_since(archived_months=none) -%}
coalesce(
        (select max(archived.month) from {{ archived_months or source('ops', 'archived_months') }} as archived) + interval '1 month', '-infinity'
    )
{%- endmacro %}

{% macro whole_events() -%}
(select e.* from {{ ref('events') }} as e where e.first_seen_at >= {{ kept_since() }})
{%- endmacro %}
