-- Who did what, and who was refused what. Rows are written in the transaction of what they tell of, or before it where it has none, and
-- stay as they are: one process chains them afterwards, in an order of its own without gaps, so that writers never wait for each other.
-- Nothing in here names a person: ids of users are random, and of an address its network is kept.

create table audit (
  id         uuid primary key default gen_random_uuid(),
  at         timestamptz(3) not null default clock_timestamp(),
  actor_kind text not null check (actor_kind in ('user', 'token', 'admin', 'system', 'stranger')),
  actor_id   uuid,
  user_id    uuid,
  action     text not null check (length(action) between 1 and 200),
  object     text check (length(object) <= 200),
  outcome    text not null check (outcome in ('attempted', 'done', 'denied', 'failed')),
  code       text check (length(code) <= 100),
  network    cidr,
  request_id text check (length(request_id) <= 100),
  details    json not null default '{}' check (length(details::text) <= 4000)
);
comment on column audit.actor_id is 'Who did it; NULL for strangers and for the system itself.';
comment on column audit.user_id is 'Whose things it is about.';
comment on column audit.action is 'Such as session.begin, or a route of the API.';
comment on column audit.outcome is 'attempted is written before the attempt: its end is another row of the same request.';
comment on column audit.network is 'The first 24 bits of an IPv4 address, 48 of an IPv6 address.';
create unique index audit_of_user on audit (user_id, id);
create index audit_by_time on audit (at, id);
create index audit_by_user_and_time on audit (user_id, at, id);
create index audit_by_actor_and_time on audit (actor_id, at, id);

create table audit_chain (
  sequence bigint primary key check (sequence >= 1),
  entry_id uuid not null unique,
  hash     bytea not null check (length(hash) = 32)
);
comment on column audit_chain.hash is 'SHA-256 over the hash before and the entry with its sequence, as audit/chain.ts writes it.';

create table audit_unchained (entry_id uuid primary key);
comment on table audit_unchained is 'Rows that wait for their place in the chain.';

create function audit_await_chain() returns trigger language plpgsql as $$
begin
  insert into audit_unchained (entry_id) select id from added;
  return null;
end $$;
create trigger audit_await_chain after insert on audit
  referencing new table as added for each statement execute function audit_await_chain();

create function audit_stays() returns trigger language plpgsql as $$
begin
  raise exception 'what was audited stays as it is';
end $$;
create trigger audit_stays before update or delete or truncate on audit
  for each statement execute function audit_stays();
create trigger audit_chain_stays before update or delete or truncate on audit_chain
  for each statement execute function audit_stays();

-- Whoever acts writes it down; none of them reads what others did.
alter table audit enable row level security;
alter table audit force row level security;
grant insert on audit, audit_unchained to
  tradingbots_api, tradingbots_auth, tradingbots_admin, tradingbots_worker;
create policy audit_append_api on audit for insert to tradingbots_api with check (true);
create policy audit_append_auth on audit for insert to tradingbots_auth with check (true);
create policy audit_append_admin on audit for insert to tradingbots_admin with check (true);
create policy audit_append_worker on audit for insert to tradingbots_worker with check (true);

-- Users see what was done with their own.
grant select on audit to tradingbots_api;
create policy audit_own on audit for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

grant select on audit, audit_chain, audit_unchained to tradingbots_admin, tradingbots_worker;
create policy audit_search on audit for select to tradingbots_admin using (true);
create policy audit_chaining on audit for select to tradingbots_worker using (true);
grant insert on audit_chain to tradingbots_worker;
grant delete on audit_unchained to tradingbots_worker;
