-- Who moves NFL totals first, and is it known? Pairs that may be ranked come first, of the others only how often they were compared.
select
    operator_group,
    other_group,
    is_known,
    score,
    p_value,
    lead_count,
    lag_count,
    tie_count,
    round(tie_share, 4) as tie_share,
    captures_median_gap_seconds
from {{ ref('lead_lag') }}
where sport_key = 'americanfootball_nfl' and market_key = 'totals'
order by is_known desc, score desc nulls last, lead_count + lag_count desc, operator_group, other_group
