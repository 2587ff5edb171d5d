-- A digest is a sum of the hashes of rows: it is kept up by what a batch wrote, and needs no parts. What was kept before is of
-- another kind; the first transformation computes the sums from the rows.
drop table ops.event_digests;

create table ops.table_digests (
    table_name text primary key,
    row_count bigint not null,
    -- modulo 2^128: of each row the first 16 bytes, as one number, of the sha256 of its text
    row_sum numeric(39, 0) not null
);
comment on table ops.table_digests is 'Rows of each stored gold table, and the sum of their hashes (pipeline/warehouse/digest.py).';

-- as 004 has it: a new owner needs CREATE in the schema for a moment
grant create on schema ops to :"transformer";
alter table ops.table_digests owner to :"transformer";
revoke create on schema ops from :"transformer";
grant select on ops.table_digests to :"ingester", :"reader";
