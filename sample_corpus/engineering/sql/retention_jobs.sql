-- Deletion of data whose retention period is over. Runs on Sundays at 03:00 UTC in Silo.
-- The periods come from the data retention schedule (legal/data-retention.pdf); change them there first.
-- Each statement writes what it removed to deletion_log, which is kept for ten years.

-- Values of customers whose contract ended more than 90 days ago.
with ended as (
    select customer_id
    from registry_copy.contracts
    group by customer_id
    having max(valid_until) < now() - interval '90 days'
), gone as (
    delete from measurement
    using device, ended
    where measurement.device_id = device.id
      and device.customer_id = ended.customer_id
    returning device.customer_id
)
insert into deletion_log (job, customer_id, rows_removed, ran_at)
select 'values-after-contract', customer_id, count(*), now()
from gone
group by customer_id;

-- Access logs: 180 days. Addresses are shortened after 14 days already.
update access_log
set client_address = set_masklen(client_address, 24)
where happened_at < now() - interval '14 days'
  and masklen(client_address) > 24;

delete from access_log
where happened_at < now() - interval '180 days';

-- Alarm history: three years, because authorities ask for it after floods.
delete from alarm_event
where raised_at < now() - interval '3 years'
  and not exists (
      select 1 from legal_hold
      where legal_hold.site_id = alarm_event.site_id
        and legal_hold.released_at is null
  );

-- Invitations that nobody accepted within 30 days.
delete from invitation
where created_at < now() - interval '30 days'
  and accepted_at is null;
