-- Months: what grows by a body per answer or a row per outcome is kept by the month (UTC) in which its answer was captured, so that
-- `sports-market archive` can take a month away in one piece. Batches and exchanges, the index of what came, stay whole.
--
-- It may find a populated warehouse. Bodies are moved here; silver is made anew by `sports-market rebuild`, as after every change
-- of its models.

create schema detached;
comment on schema detached is 'Months that were archived and detached, and are not dropped yet.';

create function ops.month_of(moment timestamptz) returns date language sql immutable parallel safe
return cast(date_trunc('month', moment at time zone 'UTC') as date);
comment on function ops.month_of is 'The first day of the month (UTC) that a time lies in.';

create table ops.archived_months (
    month date primary key check (month = date_trunc('month', month::timestamp)::date),
    -- the recording that holds its batches
    recording text not null,
    batches integer not null,
    archived_at timestamptz not null
);
comment on table ops.archived_months is 'Months whose bodies and silver rows are in a recording and no longer here; gold stays.';
grant select on ops.archived_months to :"ingester", :"reader";
grant select, insert, delete on ops.archived_months to :"transformer";

-- Makes partitions like their table; whoever owns the table may call it. ATTACH, unlike CREATE … PARTITION OF, lets readers and
-- writers of other months go on.
create function ops.make_months(parent regclass, months date[]) returns void language plpgsql strict
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
        perform pg_advisory_xact_lock(7305002);
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
comment on function ops.make_months is 'Makes the partitions of some months, as far as they are missing; refuses archived ones.';
revoke all on function ops.make_months from public;
grant execute on function ops.make_months to :"transformer";

-- The ingester owns nothing in bronze, and needs no more than this.
create function bronze.make_months(months date[]) returns void language sql security definer
set search_path = pg_catalog, pg_temp as $$
    select ops.make_months('bronze.bodies'::regclass, months)
$$;
comment on function bronze.make_months is 'ops.make_months for bodies, with the rights of their owner.';
revoke all on function bronze.make_months from public;
grant execute on function bronze.make_months to :"ingester";

-- Big partitions are planned by what stands in them now; the other months' statistics are as good as they were.
create function ops.analyze_months(parent regclass, months date[]) returns void language plpgsql strict
set search_path = pg_catalog, pg_temp as $$
declare
    part regclass;
begin
    for part in
        select parts.inhrelid::regclass
        from pg_inherits as parts
        join pg_class as child on child.oid = parts.inhrelid
        join pg_class as base on base.oid = parts.inhparent
        where parts.inhparent = parent
            and child.relname = any (select base.relname || to_char(wanted.month, '_YYYY_MM') from unnest(months) as wanted (month))
        order by child.relname
    loop
        execute format('analyze %s', part);
    end loop;
end
$$;
comment on function ops.analyze_months is 'Takes statistics of the partitions of some months.';

-- Bodies: once per content and month, so that each month holds all of its own.
alter table bronze.exchanges drop constraint exchanges_body_sha256_fkey;
alter table bronze.late_documents drop constraint late_documents_body_sha256_fkey;
drop view bronze.documents;
alter table bronze.bodies rename to bodies_before;
alter index bronze.bodies_pkey rename to bodies_before_pkey;

create table bronze.bodies (
    body_sha256 text not null,
    byte_count integer not null,
    body bytea not null,
    -- null where the bytes are no JSON that PostgreSQL can hold
    document jsonb,
    -- in which the answers that came with it were captured
    month date not null check (month = date_trunc('month', month::timestamp)::date),
    primary key (body_sha256, month)
) partition by range (month);
do $$
begin
    alter table bronze.bodies alter column body set compression lz4, alter column document set compression lz4;
exception when feature_not_supported then
    null;
end
$$;
comment on table bronze.bodies is 'Response bodies byte for byte, once per content and month; document is the same body parsed.';
create trigger append_only before update or delete or truncate on bronze.bodies
    for each statement execute function bronze.refuse_change();
grant select, insert on bronze.bodies to :"ingester";
grant select on bronze.bodies to :"transformer";

select bronze.make_months(array(
    select distinct ops.month_of(exchanges.captured_at) from bronze.exchanges as exchanges where exchanges.body_sha256 is not null order by 1
));
insert into bronze.bodies (body_sha256, byte_count, body, document, month)
select before.body_sha256, before.byte_count, before.body, before.document, came.month
from (
    select distinct exchanges.body_sha256, ops.month_of(exchanges.captured_at) as month
    from bronze.exchanges as exchanges
    where exchanges.body_sha256 is not null
) as came
join bronze.bodies_before as before on before.body_sha256 = came.body_sha256;

do $$
begin
    if exists (
        select 1 from bronze.bodies_before as before
        where not exists (select 1 from bronze.bodies as bodies where bodies.body_sha256 = before.body_sha256)
    ) then
        raise exception 'a body of bronze belongs to no exchange';
    end if;
end
$$;
drop table bronze.bodies_before;

create view bronze.documents as
select bodies.month, bodies.body_sha256, coalesce(bodies.document, late_documents.document) as document
from bronze.bodies as bodies
left join bronze.late_documents as late_documents on late_documents.body_sha256 = bodies.body_sha256;
comment on view bronze.documents is 'Each body parsed, by month; null where it is no JSON that PostgreSQL can hold.';
grant select on bronze.documents to :"ingester", :"transformer";

-- With the time, a look-up by a pending answer goes to one month.
alter table ops.pending add column captured_at timestamptz;
