{{ config(materialized='view') }}
-- What the applied answers of this endpoint say, flattened.
{{ stage('event_markets', 'applied') }}
