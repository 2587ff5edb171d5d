-- Who may do what. Whatever is not granted here is refused.

-- The ingester writes what came, and what became of it.
grant usage on schema bronze, ops to :"ingester";
grant select, insert on all tables in schema bronze to :"ingester";
grant select on all tables in schema ops to :"ingester";
grant insert, update on ops.ledger, ops.batch_states, ops.shape_firsts to :"ingester";
grant insert on ops.verdicts, ops.batch_shapes, ops.check_results, ops.charges to :"ingester";

-- The transformer reads bronze, owns silver and gold (001), and keeps its progress.
grant usage on schema bronze, ops to :"transformer";
grant select on all tables in schema bronze to :"transformer";
grant select on ops.verdicts, ops.batch_health, ops.batch_shapes, ops.shape_firsts, ops.drift to :"transformer";
grant select, update (applied) on ops.ledger to :"transformer";
grant select, insert, update, delete on ops.batch_states to :"transformer";

-- It owns the tables it works with, so that it may ANALYZE them. A new owner needs CREATE in the schema for a moment.
grant create on schema ops to :"transformer";
alter table ops.run_batches owner to :"transformer";
alter table ops.pending owner to :"transformer";
alter table ops.touched_events owner to :"transformer";
alter table ops.row_changes owner to :"transformer";
alter table ops.row_changes owner to :"transformer";
alter table ops.event_digests owner to :"transformer";
alter table ops.fingerprints owner to :"transformer";
alter table ops.check_results owner to :"transformer";
revoke create on schema ops from :"transformer";

-- The reader sees silver and gold, whatever the transformer makes there or makes anew, and how the batches stand.
grant usage on schema silver, gold, ops to :"reader";
alter default privileges for role :"transformer" in schema silver grant select on tables to :"reader";
alter default privileges for role :"transformer" in schema gold grant select on tables to :"reader";
grant select on ops.batch_states, ops.check_results, ops.batch_health to :"reader";
grant select on ops.batch_shapes, ops.shape_firsts, ops.drift to :"reader";
grant select on ops.charges, ops.credits to :"reader";
