-- Batches that brought less than half of what their plan's batches bring, or whose answers failed or are held back.
select
    health.batch_id,
    health.asked,
    health.answered,
    health.held_back,
    health.events,
    health.events_median,
    health.outcomes,
    health.outcomes_median,
    health.quote_age_p95_seconds
from {{ ref('batch_health') }} as health
where health.answered < health.asked
    or health.held_back > 0
    or 2 * health.events < health.events_median
    or 2 * health.outcomes < health.outcomes_median
order by health.batch_id
