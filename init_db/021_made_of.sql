-- Of which answers gold is made: whoever exports it says so, and whoever fills a warehouse from files sees that it has the same ones.
create view ops.made_of as
select concat_ws(',', 'batch', batches.batch_id, batches.content_sha256) as line
from ops.batch_states as states
join bronze.batches as batches on batches.batch_id = states.batch_id
where states.state = 'published'
union all
select concat_ws(',', 'answer', ledger.exchange_id, array_to_json(ledger.applied_held))
from ops.batch_states as states
join ops.ledger as ledger on ledger.batch_id = states.batch_id
where states.state = 'published' and ledger.applied;
comment on view ops.made_of is
    'A line for each published batch, with its content''s hash, and for each answer that gold is made of, with its elements that are held back.';
grant select on ops.made_of to :"transformer", :"reader";
