{#-
  The one materialization of stored models: one statement, the same text for every batch.

  A model's SQL gives the rows that its *scope* is to hold: for silver the rows of the pending answers, for gold the rows
  of the touched events from `tail_from` on, with the rows that reach into it. The statement compares them with what the
  scope holds now and writes only what differs; of gold tables it notes each difference in ops.row_changes.

  config:
    row_key    columns that identify a row
    scope      SQL condition over alias `t` that picks, through an index, the rows that may change
    when_made  statements that follow the table's making, such as partial indexes
    scope_key  column that names the event (or the row itself); set for gold, whose differences are noted
    by_month   whether it is partitioned by the month of captured_at, which is in its row_key then
  In a full refresh the table is made anew from the model's contract, and prepare_run makes every answer pending and every
  event touched from the beginning: the same statement then fills it.
-#}
{% materialization ledgered, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set row_key = config.require('row_key') -%}
    {%- set scope_key = config.get('scope_key') -%}
    {%- set columns = model['columns'].values() | map(attribute='name') | list -%}
    {%- set others = columns | reject('in', row_key) | list -%}
    {%- set by_month = config.get('by_month', false) -%}

    {%- if existing is none or should_full_refresh() -%}
        {%- if existing is none and not should_full_refresh() -%}
            {%- call statement('applied', fetch_result=True) -%}
                select exists (select 1 from {{ source('ops', 'ledger') }} where applied) as any_applied
            {%- endcall -%}
            {%- if load_result('applied')['data'][0][0] -%}
                {{ exceptions.raise_compiler_error(this ~ " does not exist although answers were applied: rebuild with --full-refresh") }}
            {%- endif -%}
        {%- endif -%}
        {%- if existing is not none %}{% do adapter.drop_relation(existing) %}{% endif -%}
        {%- call statement('create') -%}
            create table {{ target }} {{ get_table_columns_and_constraints() }}
            {%- if by_month %} partition by range (captured_at){% endif %}
        {%- endcall -%}
        {%- do create_indexes(target) -%}
        {%- do persist_docs(target, model) -%}
        {%- for made in config.get('when_made', []) -%}
            {%- call statement('made') -%}{{ made }}{%- endcall -%}
        {%- endfor -%}
        {%- if by_month -%}
            {%- call statement('months') -%}select ops.make_months('{{ target.schema }}.{{ target.identifier }}', {{ months_of_pending() }}){%- endcall -%}
        {%- endif -%}
    {%- endif -%}

    {%- if config.get('hash_joins', false) %}
        {#- estimates of what a CTE holds are guesses: joined by nested loops a big run would never end. Stored tables are read through laterals. -#}
        {%- call statement('hash_joins') %}set local enable_nestloop = off{% endcall -%}
    {%- endif %}

    {#- they may read the table -#}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main', fetch_result=True) -%}
        with fresh as materialized (
            select {{ columns | join(', ') }} from (
                {{ sql }}
            ) as model_rows
        ),
        standing as materialized (
            select t.ctid as row_place, {{ columns_of('t', columns) }} from {{ target }} as t
            where {{ config.require('scope') }}
        ),
        removed as (
            {%- if by_month %}
            -- a row's place tells it only within its partition
            delete from {{ target }} as t
            where {{ config.require('scope') }}
                and not exists (select 1 from fresh as f where {{ same_in('f', 't', row_key) }})
            {%- else %}
            delete from {{ target }} where ctid = any (array(
                select s.row_place from standing as s
                where not exists (select 1 from fresh as f where {{ same_in('f', 's', row_key) }})
            ))
            {%- endif %}
            returning {{ columns | join(', ') }}
        ),
        differing as materialized (
            select f.*, s.row_place
            from fresh as f
            left join standing as s on {{ same_in('f', 's', row_key) }}
            where s.row_place is null
            {%- for c in others %}
                or f.{{ c }} is distinct from s.{{ c }}
            {%- endfor %}
        ),
        -- most rows are new: they do not wait for a look at what may be in their place
        added as (
            insert into {{ target }} ({{ columns | join(', ') }})
            select {{ columns | join(', ') }} from differing where row_place is null
            returning 1
        ),
        changed as (
            insert into {{ target }} ({{ columns | join(', ') }})
            select {{ columns | join(', ') }} from differing where row_place is not null
            on conflict ({{ row_key | join(', ') }}) do
            {%- if others %} update set {% for c in others %}{{ c }} = excluded.{{ c }}{{ ", " if not loop.last }}{% endfor %}
            {%- else %} nothing
            {%- endif %}
            returning 1
        )
        {%- if scope_key %},
        noted as (
            insert into ops.row_changes (table_name, scope_key, old_row, new_row)
            select '{{ this.schema }}.{{ this.identifier }}', d.{{ scope_key }}, to_jsonb(s) - 'row_place', to_jsonb(d) - 'row_place'
            from differing as d
            left join standing as s on {{ same_in('d', 's', row_key) }}
            union all
            select '{{ this.schema }}.{{ this.identifier }}', r.{{ scope_key }}, to_jsonb(r), null
            from removed as r
        )
        {%- endif %}
        select (select count(*) from added) + (select count(*) from changed) + (select count(*) from removed) as row_count
    {%- endcall %}

    {%- if config.get('hash_joins', false) -%}
        {%- call statement('any_joins') %}set local enable_nestloop = on{% endcall -%}
    {%- endif -%}
    {#- what is read next in this transaction is planned by what stands there now -#}
    {%- if load_result('main')['data'][0][0] >= env_var('SPORTS_MARKET_DBT_GROWN', '5000') | int -%}
        {%- call statement('analyze') -%}
            {%- if by_month -%}
                select ops.analyze_months('{{ target.schema }}.{{ target.identifier }}', {{ months_of_pending() }})
            {%- else -%}
                analyze {{ target }}
            {%- endif -%}
        {%- endcall -%}
    {%- endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}
