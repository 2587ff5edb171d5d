-- What breaks the contract below the document holds back the smallest element that stands alone, and not its whole answer.

create table ops.elements (
    exchange_id uuid not null references bronze.exchanges,
    -- JSON pointer of it in the body
    pointer text not null check (pointer ~ '^(/(data|bookmakers|markets|0|[1-9][0-9]{0,8}))+$'),
    kind text not null check (kind in ('event', 'bookmaker', 'market', 'sport', 'participant')),
    -- which one it is; null where the answer does not tell, or it is of another kind
    event_id text,
    bookmaker_key text,
    market_key text,
    -- outcome objects in it, counted in Python as it was judged
    outcomes integer not null,
    primary key (exchange_id, pointer)
);
comment on table ops.elements is 'Parts of admitted answers that were ever held back; append-only.';

create table ops.element_verdicts (
    exchange_id uuid not null,
    pointer text not null,
    verdict_no integer not null,
    verdict text not null check (verdict in ('quarantined', 'released', 'waived', 'withdrawn')),
    findings jsonb not null,
    contract_version text not null,
    reason text,
    decided_at timestamptz not null,
    primary key (exchange_id, pointer, verdict_no),
    foreign key (exchange_id, pointer) references ops.elements
);
comment on table ops.element_verdicts is 'Each element''s verdicts in order, append-only; the last one counts.';

alter table ops.ledger
    -- pointers of the elements that the last verdicts hold back, and of those that silver and gold are without; sorted
    add column held text[] not null default '{}',
    add column applied_held text[] not null default '{}',
    add column held_outcomes integer not null default 0,
    add column is_settled boolean not null generated always as (
        admitted = applied and (not admitted or held = applied_held)
    ) stored;
comment on column ops.ledger.outcomes is 'Outcome objects in the body, but for those of elements that are held back.';
comment on column ops.ledger.held_outcomes is 'Outcome objects in elements that are held back.';
comment on column ops.ledger.is_settled is 'Whether silver and gold hold what the last verdicts say.';
drop index ops.ledger_unsettled;
create index ledger_unsettled on ops.ledger (exchange_id) where not is_settled;
alter table ops.pending add column held text[] not null default '{}';

-- Deepest first, then the later before the earlier, so that no step changes what the others point at.
create function ops.without(document jsonb, pointers text[]) returns jsonb language plpgsql immutable strict parallel safe
set search_path = pg_catalog, pg_temp as $$
declare
    path text[];
begin
    for path in
        select found.steps
        from (select string_to_array(substr(given.pointer, 2), '/') as steps from unnest(pointers) as given (pointer)) as found
        order by
            cardinality(found.steps) desc,
            array(select case when step.step ~ '^[0-9]+$' then step.step::integer else 0 end
                from unnest(found.steps) with ordinality as step (step, place) order by step.place) desc
    loop
        document := document #- path;
    end loop;
    return document;
end
$$;
comment on function ops.without is 'A document without the elements at some JSON pointers.';

-- Of an element within another the outer one counts for both.
create function ops.outcomes_in(answer uuid, pointers text[]) returns integer language sql stable
set search_path = pg_catalog, pg_temp as $$
    select coalesce(sum(elements.outcomes), 0)::integer
    from ops.elements as elements
    where elements.exchange_id = answer
        and elements.pointer = any (pointers)
        and not exists (
            select 1 from unnest(pointers) as outer_one (pointer)
            where starts_with(elements.pointer, outer_one.pointer || '/')
        )
$$;
comment on function ops.outcomes_in is 'Outcome objects in some elements of an answer.';

revoke all on function ops.without, ops.outcomes_in from public;
grant execute on function ops.without, ops.outcomes_in to :"transformer";
grant execute on function ops.outcomes_in to :"ingester";
grant select, insert on ops.elements, ops.element_verdicts to :"ingester";
grant select on ops.elements, ops.element_verdicts to :"transformer";
grant update (applied_held) on ops.ledger to :"transformer";
