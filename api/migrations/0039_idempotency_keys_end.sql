-- Keys of users who send no further request are removed by a sweep: whoever does it sees those alone whose day is over.

create index idempotency_keys_by_time on idempotency_keys (created_at);
grant select (user_id, key, created_at), delete on idempotency_keys to tradingbots_worker;
create policy idempotency_keys_expire on idempotency_keys to tradingbots_worker
  using (created_at < now() - interval '24 hours');
