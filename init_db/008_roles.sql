-- What a lesser role could do to a greater one: hold a lock that it waits for, or call what it need not.

create table ops.transform_lock (nobody boolean);
comment on table ops.transform_lock is 'Whoever transforms locks it, as nobody but the transformer and the owner may; it has no rows.';
-- LOCK TABLE asks for a right to change the table
grant update on ops.transform_lock to :"transformer";

-- With the owner's eyes: a role sees of other roles' sessions only that they are there.
create function ops.transform_lock_holders()
returns table (pid integer, application_name text, user_name text, since timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select locks.pid, activity.application_name, activity.usename::text, activity.xact_start
    from pg_locks as locks
    left join pg_stat_activity as activity on activity.pid = locks.pid
    where locks.granted
        and locks.locktype = 'relation'
        and locks.relation = 'ops.transform_lock'::regclass
        and locks.database = (select pg_database.oid from pg_database where pg_database.datname = current_database())
        and locks.pid <> pg_backend_pid()
    order by locks.pid
$$;
comment on function ops.transform_lock_holders is 'Who transforms, other than this session, and since when.';
revoke all on function ops.transform_lock_holders from public;
grant execute on function ops.transform_lock_holders to :"transformer";

-- As before, but of two runs that race the second one waits for the table itself, which no reader and no writer of rows may lock
-- so, and not for a number that everybody may.
create or replace function ops.make_months(parent regclass, months date[]) returns void language plpgsql strict
set search_path = pg_catalog, pg_temp as $$
declare
    missing date[];
    each_month date;
    part text;
    archived text;
begin
    select string_agg(to_char(archive.month, 'YYYY-MM'), ', ' order by archive.month) into archived
    from ops.archived_months as archive
    where archive.month = any (months);
    if archived is not null then
        raise exception 'MONTHS_ARCHIVED: % is archived: bring it back with `sports-market archive --restore`', archived
            using errcode = 'object_not_in_prerequisite_state';
    end if;
    -- twice: of two runs that race, the second one waits, looks again and finds what the first one made
    for attempt in 1..2 loop
        select array_agg(wanted.month order by wanted.month) into missing
        from unnest(months) as wanted (month)
        join pg_class as base on base.oid = parent
        where not exists (
            select 1 from pg_class as known
            where known.relnamespace = base.relnamespace and known.relname = base.relname || to_char(wanted.month, '_YYYY_MM')
        );
        if missing is null then
            return;
        end if;
        execute format('lock table %s in share update exclusive mode', parent);
    end loop;
    foreach each_month in array missing loop
        select format('%I.%I', base.relnamespace::regnamespace::text, base.relname || to_char(each_month, '_YYYY_MM'))
        into strict part
        from pg_class as base
        where base.oid = parent;
        execute format('create table %s (like %s including all)', part, parent);
        if parent = 'bronze.bodies'::regclass then
            execute format(
                'create trigger append_only before update or delete or truncate on %s'
                ' for each statement execute function bronze.refuse_change()', part
            );
        end if;
        execute format(
            'alter table %s attach partition %s for values from (%L) to (%L)', parent, part,
            to_char(each_month, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(each_month + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    end loop;
end
$$;

-- PostgreSQL lets everybody call a function that is made.
revoke all on function bronze.refuse_change, ops.month_of, ops.analyze_months from public;
grant execute on function ops.month_of, ops.analyze_months to :"transformer";
grant execute on function ops.month_of to :"ingester";
