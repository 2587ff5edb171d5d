{#-
  The one text of tables that say what holds over time: a row per key and stretch in which it stays the same. It is a complete
  query, for a batch, many, and a full refresh; `ledgered` compares it with what stands and writes what differs.

  A model calls it with one select: for lines and times, what holds then.

      {% raw %}{% call(standing, beside) holds_over_time(ref('margins'), …) %} select … from {{ standing }} as sets … {% endcall %}{% endraw %}

  The select reads its input, itself a table of stretches, through `standing`: its rows that stand at a time, with `at` and
  `line_key` beside their columns. It gives `at` and the columns of the model but sport_key, valid_from and valid_to. It does not know
  which lines and times it is asked for, nor what its table holds.

  input     the table that it reads
  also      another table of stretches with the columns of `line`, whose beginnings and ends are looked at too; the select has its rows
            of the lines that are looked at as `beside`
  may_hold  where changes of the input alone begin nothing: a select of the times at which something may begin or end to hold, event_id,
            line_key and at, each within its event's tail. The input is read only of events that have any, or a row that reaches in
  only_if   which rows of it, over alias `r`
  by        of events that are not looked at whole, what is looked at: series, line or market, or `fresh line`, `fresh market` (lines.sql)
  line      over alias `r`, a row of the input or of the model: within an event, all that the select looks at together. It is not
            coarser than that: what the select looks up besides may say another thing at a time at which nothing of the input changed
  key       columns that say what holds; with valid_from they identify a row
  changes   over alias `r`: a stretch ends where one of these differs. Other columns are told as they were when it began
-#}
{% macro holds_over_time(input, only_if, by, line, key, changes, also=none, may_hold=none) -%}
{%- set told = 'row(' ~ changes | join(', ') ~ ')' -%}
{%- set columns = model.get('columns', {}).values() | map(attribute='name') | reject('in', ['sport_key', 'valid_from', 'valid_to']) | list -%}
with touched as materialized ({{ touched(by) }}),
event_keys as materialized ({{ keys_of_touched() }}),

-- the table's own rows that reach into the tail
own_rows as materialized (
    select {{ line }} as line_key, r.*
    from touched
    cross join lateral {{ reaching_rows(this, by=by) }} as r
    where r.valid_from < touched.tail_from
),

{% if may_hold -%}
may_hold as materialized ({{ may_hold }}),

{% endif -%}
-- rows of the input that are open or reach into the tail
input_rows as materialized (
    select touched.tail_from, {{ line }} as line_key, r.*
    from touched
    cross join lateral {{ reaching_rows(input, by=by) }} as r
    where {{ only_if }}
        {%- if may_hold %}
        and touched.event_id in (select may_hold.event_id from may_hold union select own_rows.event_id from own_rows)
        {%- endif %}
),

{% if also -%}
-- rows of the other table that do
also_rows as materialized (
    select touched.tail_from, {{ line }} as line_key, r.*
    from touched
    cross join lateral {{ reaching_rows(also, by=by) }} as r
),

{% endif -%}
-- when, from the tail's beginning on, something began or ended on a line
times as materialized (
    {{ times_of_change('line_key', rows='input_rows') }}
    {%- if also %}
    union
    {{ times_of_change('line_key', rows='also_rows') }}
    {%- endif %}
    {%- if may_hold %}
    union
    select may_hold.event_id, may_hold.line_key, may_hold.at from may_hold
    {%- endif %}
),
standing_then as (select times.at, input_rows.* from {{ times_with_standing('line_key', rows='input_rows') }}),

held as materialized (
    select {{ line }} as line_key, r.*
    from (
{{ caller('standing_then', 'also_rows') if also else caller('standing_then') }}
    ) as r
),

known as (
    select event_id, line_key, {{ key | join(', ') }} from held
    union
    select event_id, line_key, {{ key | join(', ') }} from own_rows
),

-- at each time of its line whether something holds under a key, and what; before them what held already
timeline as (
    select {{ columns_of('known', key) }}, times.at, r.at is not null as holds, false as reaches_in, {{ told }} as told
    from known
    join times on times.event_id = known.event_id and times.line_key = known.line_key
    left join held as r on r.at = times.at and {{ same_in('r', 'known', key) }}
    union all
    select {{ columns_of('r', key) }}, r.valid_from, true, true, {{ told }} from own_rows as r
),

compared as (
    select timeline.*,
        holds <> coalesce(lag(holds) over one_key, false) or (holds and told is distinct from lag(told) over one_key) as is_change
    from timeline
    window one_key as (partition by {{ key | join(', ') }} order by at)
),

stretches as materialized (
    select {{ key | join(', ') }}, at, holds, reaches_in, lead(at) over (partition by {{ key | join(', ') }} order by at) as valid_to
    from compared where is_change
)

select {{ columns_of('held', columns) if columns else 'held.*' }}, event_keys.sport_key, stretches.at as valid_from, stretches.valid_to
from stretches
join held on held.at = stretches.at and {{ same_in('held', 'stretches', key) }}
{{ with_sport_key('held.event_id', 'stretches.at') }}
where stretches.holds and not stretches.reaches_in
{#- a unit test knows no columns; it gives no rows that stood before -#}
{%- if columns %}
union all
select {{ columns_of('own_rows', columns) }}, own_rows.sport_key, own_rows.valid_from, stretches.valid_to
from stretches
join own_rows on own_rows.valid_from = stretches.at and {{ same_in('own_rows', 'stretches', key) }}
where stretches.reaches_in
{%- endif %}
{%- endmacro %}

{% macro columns_of(alias, columns) -%}
{% for column in columns %}{{ alias }}.{{ column }}{{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro same_of(columns) -%}
{% for column in columns %}min({{ column }}) as {{ column }}{{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}

{% macro same_in(one, other, columns) -%}
{% for column in columns %}{{ one }}.{{ column }} = {{ other }}.{{ column }}{{ " and " if not loop.last }}{% endfor %}
{%- endmacro %}
