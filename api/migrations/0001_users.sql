-- Row-level security is forced on every table that belongs to a user. `app.user_id` is set for one transaction; on a
-- pooled connection it is '' and not NULL afterwards, hence nullif. The sub-select makes it one evaluation per
-- statement. Times have milliseconds, so that they survive the way through JSON unchanged.

create table users (
  id            uuid primary key,
  email         text not null unique check (email = lower(email) and length(email) <= 254),
  password_hash text not null,
  tier          text not null default 'free' check (tier in ('free', 'pro', 'enterprise')),
  namespace     text not null,
  created_at    timestamptz(3) not null default now()
);
comment on column users.namespace is 'The bucket namespace of all custom resources of the user, chosen at registration.';

alter table users enable row level security;
alter table users force row level security;

-- The API never sees a password hash.
grant select (id, email, tier, namespace, created_at) on users to tradingbots_api;
create policy users_own on users for select to tradingbots_api
  using (id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- Before a login nobody knows the user's id: this role may look anybody up, and adds users of the lowest tier only.
grant select (id, email, password_hash, tier, created_at) on users to tradingbots_auth;
grant insert (id, email, password_hash, namespace) on users to tradingbots_auth;
create policy users_look_up on users for select to tradingbots_auth using (true);
create policy users_register on users for insert to tradingbots_auth with check (tier = 'free');
