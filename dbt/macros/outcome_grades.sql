{#- How a bet on each outcome that a book ever quoted of some events is settled, or why nobody can say, a complete select; `events` has,
    beside the columns of events, is_whole: else it is asked for lines alone (ops.due_lines). -#}
{% macro outcome_grades_of(events) -%}
select
    {{ outcome_id_of('graded.event_id', 'graded') }} as line_id,
    graded.event_id, graded.sport_key, graded.market_key, graded.description, graded.line_point, graded.outcome_set,
    graded.outcome_name, graded.outcome_side, graded.start_at, graded.home_score, graded.away_score,
    case
        when graded.refusal is not null then 'unresolved'
        when graded.winner = 'void' then 'void'
        when graded.bet_value = 1 then 'win'
        when graded.bet_value > 0 then 'half_win'
        when graded.bet_value = 0 then 'push'
        when graded.bet_value > -1 then 'half_loss'
        else 'loss'
    end as grade,
    cast(
        case when graded.refusal is null then case when graded.winner = 'void' then 0 else greatest(graded.bet_value, 0) end end
        as numeric(3, 2)
    ) as won_share,
    cast(
        case when graded.refusal is null then case when graded.winner = 'void' then 1 else 1 - abs(graded.bet_value) end end
        as numeric(3, 2)
    ) as refunded_share,
    case
        when graded.refusal is not null then graded.refusal
        when graded.is_override then 'override'
        when graded.family = 'to_qualify' then 'decisive_final_score'
        when graded.settlement = 'full_game_assumed' then 'assumes_full_game'
        else 'final_score'
    end as grade_reason,
    graded.override_reason,
    case when graded.is_override then 'override' else graded.settlement end as rule
from {{ events }} as event
-- a score that is not final settles nothing
left join {{ ref('results') }} as result on result.event_id = event.event_id and result.completed
cross join lateral {{ settlement_rule('event.sport_key') }} as rule
cross join lateral (
    -- no clock: three days are over when an answer about the event was received after them
    with newest as (select max(near.captured_at) as captured_at from {{ newest_answers('event') }} as near),

    state as (
        select
            case
                when not coalesce(result.completed, false)
                    then case
                        when newest.captured_at > event.start_at + {{ parameter('results_window_seconds') }} * interval '1 second'
                            then 'never_completed'
                        else 'not_completed'
                    end
                -- a final score stands, whatever a later answer says
                when result.problem is distinct from 'final_taken_back' then result.problem
            end as problem,
            -- since when this score has been final
            greatest(result.completed_since, result.score_since) between event.start_at
                and event.start_at + {{ parameter('regulation_max_seconds') }} * interval '1 second'
            and not event.start_is_suspect and event.start_basis is distinct from 'kept_unproven' as ended_in_regulation
        from newest
    ),

    quoted as materialized (
        select sets.market_key, sets.description, sets.line_point, sets.outcome_set, outcome.outcome_name,
            min(outcome.outcome_side) as outcome_side
        from (
            select distinct m.market_key, m.description, m.line_point, m.outcome_set, m.outcome_names, m.outcome_sides
            from {{ ref('margins') }} as m
            where m.event_id = event.event_id
                and (
                    event.is_whole
                    or (m.event_id, {{ line_key('m') }}) in (select lines.event_id, lines.line_key from {{ source('ops', 'due_lines') }} as lines)
                )
        ) as sets
        cross join lateral unnest(sets.outcome_names, sets.outcome_sides) as outcome (outcome_name, outcome_side)
        group by sets.market_key, sets.description, sets.line_point, sets.outcome_set, outcome.outcome_name
    ),

    markets as materialized (
        select ruled.market_key, ruled.family, ruled.period,
            chosen.event_id is not null as is_override,
            -- a seed without it is bad style, and withholds no batch
            case when chosen.event_id is not null then coalesce(chosen.reason, 'not said') end as override_reason, chosen.winner,
            case when chosen.event_id is not null then chosen.home_score else result.home_score end as home_score,
            case when chosen.event_id is not null then chosen.away_score else result.away_score end as away_score
        from (
            select shown.market_key, market_rule.family, market_rule.period
            from (select distinct market_key from quoted) as shown
            cross join lateral {{ market_rule('shown.market_key') }} as market_rule
        ) as ruled
        left join lateral {{ override_of('event.event_id', 'ruled') }} as chosen on true
    ),

    -- who an outcome names is asked of the scores: two answers may have home and away the other way round
    placed as (
        select
            quoted.*, markets.family, markets.period, markets.is_override, markets.override_reason, markets.winner,
            markets.home_score, markets.away_score,
            coalesce(result.home_team, event.home_team) as home_team,
            coalesce(result.away_team, event.away_team) as away_team
        from quoted
        join markets on markets.market_key = quoted.market_key
    ),

    oriented as (
        select placed.*,
            placed.outcome_side not in ('home', 'away') or placed.outcome_name in (placed.home_team, placed.away_team) as is_known,
            -- the margin of the side that this outcome's book calls home
            case
                -- null: an outright names no teams, and has no home side
                when (placed.outcome_side = 'home' and placed.outcome_name = placed.away_team)
                    or (placed.outcome_side = 'away' and placed.outcome_name = placed.home_team)
                    then -1
                else 1
            end as turn
        from placed
    ),

    scored as (
        select oriented.*,
            case
                when oriented.family in ('h2h', 'draw_no_bet', 'to_qualify') and oriented.winner in ('home', 'away', 'draw')
                    then case oriented.winner when 'home' then 1 when 'away' then -1 else 0 end
                else oriented.home_score - oriented.away_score
            end * oriented.turn as margin,
            oriented.home_score + oriented.away_score as total,
            oriented.home_score > 0 and oriented.away_score > 0 as both_scored
        from oriented
    ),

    refused as (
        select scored.*,
            case
                when scored.is_override and scored.winner = 'void' then null
                when scored.family = 'outrights' then 'outright'
                when scored.family = 'props' then 'prop'
                when scored.family = 'team_totals' then 'team_total'
                when scored.period = 'part' and not scored.is_override then 'period'
                when scored.family not in ('h2h', 'spreads', 'totals')
                    and scored.market_key not in ('btts', 'draw_no_bet', 'to_qualify')
                    then 'market_without_rule'
                when rule.settlement = 'bout' and scored.family <> 'h2h' then 'market_without_rule'
                when scored.outcome_set <> case
                    when scored.family = 'yes_no' then 'yes_no'
                    when scored.family = 'h2h' and rule.settlement in ('regulation', 'knock_out') then 'three_way'
                    when scored.family = 'h2h' and scored.outcome_set = 'three_way' then 'three_way'
                    else 'two_way'
                end then 'unexpected_outcome_set'
                when scored.family in ('spreads', 'totals') and scored.line_point is null then 'no_point'
                when scored.is_known is not true then 'teams_differ'
                when scored.is_override
                    then case
                        when scored.family in ('totals', 'yes_no') and scored.total is null then 'override_says_nothing'
                        when scored.margin is null then 'override_says_nothing'
                        when scored.family = 'to_qualify' and scored.margin = 0 then 'override_says_nothing'
                    end
                when rule.settlement = 'retirement' then 'retirement_rules_differ'
                when rule.settlement = 'unknown' then 'sport_without_rule'
                when state.problem is not null then state.problem
                when scored.family = 'to_qualify'
                    then case when rule.may_have_two_legs then 'two_legs_possible' when scored.margin = 0 then 'level_score' end
                -- null: an unknown start or end shows nothing
                when rule.settlement = 'knock_out' and state.ended_in_regulation is not true then 'extra_time_possible'
                when rule.settlement in ('overtime_included', 'full_game_assumed') and scored.outcome_set = 'three_way'
                    then 'regulation_score_unknown'
            end as refusal
        from scored
        cross join state
    )

    select
        event.event_id, event.sport_key, event.start_at, rule.settlement,
        refused.market_key, refused.description, refused.line_point, refused.outcome_set, refused.outcome_name,
        refused.outcome_side, refused.family, refused.is_override, refused.override_reason, refused.winner,
        refused.home_score, refused.away_score, refused.refusal,
        {{ bet_value('refused') }} as bet_value
    from refused
) as graded
{%- endmacro %}

{#- Events whose grades a run looks at, for `from`: those that are due, whole; and of others that have begun the lines. -#}
{% macro due_gradings() -%}
(
    select due.*, true as is_whole from {{ due_events() }} as due
    union all
    select e.*, true as is_reached, false as is_whole
    from (select distinct lines.event_id from {{ source('ops', 'due_lines') }} as lines) as those
    join {{ ref('events') }} as e on e.event_id = those.event_id
)
{%- endmacro %}

{#- The grades of those, over alias `t`. -#}
{% macro rows_of_due_gradings() -%}
t.event_id = any (array(
    select due.event_id from ops.due_events as due
    union all
    select lines.event_id from ops.due_lines as lines
))
and (
    t.event_id in (select due.event_id from ops.due_events as due)
    or (t.event_id, {{ line_key('t') }}) in (select lines.event_id, lines.line_key from ops.due_lines as lines)
)
{%- endmacro %}

{#-
  After the start books go on hanging lines. Of events that are not due themselves, the lines with an outcome that has no grade yet, or of
  which a set is there no more.
-#}
{% macro find_due_lines() -%}
insert into ops.due_lines (event_id, line_key)
with begun as materialized (
    select e.event_id
    from (select distinct noted.scope_key from ops.row_changes as noted where noted.table_name = 'gold.margins') as those
    join {{ ref('events') }} as e on e.event_id = those.scope_key
    where e.event_id <> all (array(select due.event_id from ops.due_events as due)) and {{ is_reached('e') }}
),

changes as (
    select changes.scope_key as event_id, told.row_then, changes.new_row is null or changes.old_row is not null as may_end
    from begun
    join ops.row_changes as changes on changes.scope_key = begun.event_id and changes.table_name = 'gold.margins'
    cross join lateral (values (changes.old_row), (changes.new_row)) as told (row_then)
    where told.row_then is not null
        -- of one change to a row that stays both rows name the same outcomes, mostly
        and (changes.old_row -> 'outcome_names', changes.old_row -> 'outcome_sides', changes.old_row -> 'outcome_set')
        is distinct from (changes.new_row -> 'outcome_names', changes.new_row -> 'outcome_sides', changes.new_row -> 'outcome_set')
),

lines as (
    select changes.event_id, changes.may_end, line.*, {{ line_key('line') }} as line_key
    from changes
    cross join lateral (
        select
            changes.row_then ->> 'market_key' as market_key,
            changes.row_then ->> 'description' as description,
            cast(changes.row_then ->> 'line_point' as numeric(8, 3)) as line_point,
            changes.row_then ->> 'outcome_set' as outcome_set,
            changes.row_then -> 'outcome_names' as outcome_names,
            changes.row_then -> 'outcome_sides' as outcome_sides
    ) as line
)

select lines.event_id, lines.line_key from lines where lines.may_end
union
select new_outcomes.event_id, new_outcomes.line_key
from (
    select lines.event_id, lines.line_key, lines.market_key, lines.description, lines.line_point, lines.outcome_set,
        outcome.outcome_name, side.outcome_side
    from lines
    cross join lateral jsonb_array_elements_text(lines.outcome_names) with ordinality as outcome (outcome_name, place)
    join lateral jsonb_array_elements_text(lines.outcome_sides) with ordinality as side (outcome_side, place)
        on side.place = outcome.place
    where not lines.may_end
) as new_outcomes
where not exists (
    select 1 from {{ this }} as stored
    where stored.line_id = {{ outcome_id_of('new_outcomes.event_id', 'new_outcomes') }} and stored.outcome_side <= new_outcomes.outcome_side
)
{%- endmacro %}
