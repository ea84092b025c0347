-- Sites that need a visit soon, for the weekly plan of the field teams.
-- A site is listed if the battery will be below 3.45 V within six weeks at its present rate, if more
-- than 5 % of last week's values carry quality flag 2 or 3, or if the last visit is 400 days ago.

create or replace view site_health as
select
    site.id,
    site.name,
    customer.name as customer,
    battery.volts as battery_volts,
    battery.volts_per_week,
    quality.share_bad,
    visit.last_visit,
    case
        when battery.volts + 6 * battery.volts_per_week < 3.45 then 'exchange battery'
        when quality.share_bad > 0.05 then 'check the sensor'
        when visit.last_visit < now() - interval '400 days' then 'routine visit'
    end as reason
from site
join customer on customer.id = site.customer_id
left join lateral (
    select
        last(value, measured_at) as volts,
        regr_slope(value, extract(epoch from measured_at) / 604800) as volts_per_week
    from measurement
    where measurement.device_id = site.device_id
      and channel = 'battery'
      and measured_at > now() - interval '8 weeks'
) as battery on true
left join lateral (
    select avg((quality_flag >= 2)::int) as share_bad
    from measurement
    where measurement.device_id = site.device_id
      and measured_at > now() - interval '7 days'
) as quality on true
left join lateral (
    select max(visited_at) as last_visit
    from field_visit
    where field_visit.site_id = site.id
) as visit on true
where battery.volts + 6 * battery.volts_per_week < 3.45
   or quality.share_bad > 0.05
   or visit.last_visit < now() - interval '400 days';
