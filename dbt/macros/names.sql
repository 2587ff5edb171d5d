{#-
  A person's or a runner's name with all taken off in which books differ without meaning anybody else: upper case, accents,
  dots, and a suffix of generations at its end (Jr, Sr, II to V; also after a comma). Blanks count once. A name that is nothing
  but a suffix stays as it is.

  Letters with accents are those below, and marks that follow their letter; any other letter stays as it is. A letter that
  stands for two becomes two. What else is in a name (hyphens, initials, nicknames) may tell people apart, and stays.
-#}
{% macro normalised_name(name) -%}
{%- set plain -%}
lower({{ without_accents(name) }})
{%- endset -%}
{%- set tidy -%}
btrim(regexp_replace({{ plain }}, '[[:space:]]+', ' ', 'g'))
{%- endset -%}
regexp_replace({{ tidy }}, '(?<=[^ ,])[ ,]+(jr|sr|ii|iii|iv|v)$', '')
{%- endmacro %}

{% macro without_accents(name) -%}
{%- set letters = {
    'a': 'ÀÁÂÃÄÅĀĂĄǍàáâãäåāăąǎ',
    'c': 'ÇĆĈĊČçćĉċč',
    'd': 'ĎĐÐďđð',
    'e': 'ÈÉÊËĒĔĖĘĚèéêëēĕėęě',
    'g': 'ĜĞĠĢǦĝğġģǧ',
    'h': 'ĤĦĥħ',
    'i': 'ÌÍÎÏĨĪĬĮİǏìíîïĩīĭįıǐ',
    'j': 'Ĵĵ',
    'k': 'ĶǨķǩ',
    'l': 'ĹĻĽŁĺļľł',
    'n': 'ÑŃŅŇñńņň',
    'o': 'ÒÓÔÕÖØŌŎŐǑòóôõöøōŏőǒ',
    'r': 'ŔŖŘŕŗř',
    's': 'ŚŜŞŠȘśŝşšș',
    't': 'ŢŤŦȚţťŧț',
    'u': 'ÙÚÛÜŨŪŬŮŰŲǓùúûüũūŭůűųǔ',
    'w': 'Ŵŵ',
    'y': 'ÝŶŸýÿŷ',
    'z': 'ŹŻŽźżž',
    "'": '’‘ʼ',
} -%}
{%- set pairs = {'ß': 'ss', 'Æ': 'ae', 'æ': 'ae', 'Œ': 'oe', 'œ': 'oe', 'Þ': 'th', 'þ': 'th'} -%}
{#- grave, acute, circumflex, tilde, macron, breve, dot, diaeresis, ring, double acute, caron, cedilla, ogonek; and the dot -#}
{%- set dropped = '\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327\u0328.' -%}
{%- set plain = namespace(from='', to='', text=name) -%}
{%- for letter, accented in letters.items() -%}
    {%- set plain.from = plain.from ~ accented -%}
    {%- set plain.to = plain.to ~ letter * (accented | length) -%}
{%- endfor -%}
{%- for one, two in pairs.items() -%}
    {%- set plain.text = "replace(" ~ plain.text ~ ", '" ~ one ~ "', '" ~ two ~ "')" -%}
{%- endfor -%}
translate({{ plain.text }}, '{{ plain.from ~ dropped }}', '{{ plain.to | replace("'", "''") }}')
{%- endmacro %}

{% macro last_word(name) -%}
regexp_replace({{ name }}, '^.* ', '')
{%- endmacro %}
