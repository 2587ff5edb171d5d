{#- How many events, books and outcomes the admitted answers of a batch show, by the batch's alias; for `cross join lateral`. -#}
{% macro shown_in(batch) -%}
(
    select
        cast(coalesce((
            select sum(ledger.outcomes) from {{ source('ops', 'ledger') }} as ledger
            where ledger.batch_id = {{ batch }}.batch_id and ledger.applied
        ), 0) as integer) as outcomes,
        cast(count(distinct sightings.event_id) as integer) as events,
        cast(count(distinct book.bookmaker_key) as integer) as books
    from {{ source('ops', 'ledger') }} as ledger
    left join {{ ref('event_sightings') }} as sightings on sightings.exchange_id = ledger.exchange_id
    left join lateral jsonb_object_keys(sightings.books) as book (bookmaker_key) on true
    where ledger.batch_id = {{ batch }}.batch_id and ledger.applied
)
{%- endmacro %}
