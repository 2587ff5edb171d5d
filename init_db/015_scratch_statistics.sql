-- A table that each run fills anew is analyzed where it holds twice or half of what the planner knows, and not each time: every
-- statement that reads it is planned anew after that.
create function ops.analyze_if_other(scratch regclass) returns void language plpgsql strict
    set search_path = pg_catalog, pg_temp
as $$
declare
    known real := (select tables.reltuples from pg_class as tables where tables.oid = scratch);
    held bigint;
begin
    execute format('select count(*) from %s', scratch) into held;
    if known < 0 or held > 2 * known or 2 * held < known then
        execute format('analyze %s', scratch);
    end if;
end
$$;
comment on function ops.analyze_if_other is 'Takes statistics of a table whose number of rows is another than the planner knows.';
revoke all on function ops.analyze_if_other from public;
grant execute on function ops.analyze_if_other to :"transformer";
