{% macro with_profile(bookmaker_key, at) -%}
left join {{ ref('book_profile') }} as profile
        -- null: of no book there is no profile
        on profile.bookmaker_key = {{ bookmaker_key }} and {{ at }} >= coalesce(profile.valid_from, '-infinity')
        and {{ at }} < coalesce(profile.valid_to, 'infinity')
{%- endmacro %}

{% macro price_net(price_decimal, profile) -%}
cast(
    case
        when {{ profile }}.price_kind = 'back_net' then 1 + ({{ price_decimal }} - 1) * (1 - {{ profile }}.commission)
        else {{ price_decimal }}
    end as numeric(14, 8)
)
{%- endmacro %}

{% macro has_own_prices(profile) -%}
coalesce({{ profile }}.price_kind, 'back_fixed') in ('back_fixed', 'back_net')
{%- endmacro %}
