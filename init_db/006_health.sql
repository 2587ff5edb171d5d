-- What gold.batch_health reads: a plan's batches in their order, what each call cost, and how much is in the tables.
create index batches_plan on bronze.batches (plan_id, batch_id);
grant select on ops.charges to :"transformer";
grant select on ops.event_digests to :"reader";
