-- The custom resources are the truth about accounts and bots. These rows say whose they are and where, and make quotas
-- countable in one transaction. Nothing is deleted: ids are never reused, and trades keep their bot.

create table accounts (
  user_id    uuid not null references users (id),
  id         text not null unique,
  namespace  text not null,
  created_at timestamptz(3) not null default now(),
  retired_at timestamptz(3),
  gone_at    timestamptz(3),
  primary key (user_id, id)
);
comment on column accounts.created_at is 'When its creation was last begun: a repeated request begins anew.';
comment on column accounts.retired_at is 'The user has given the account up; it counts no more.';
comment on column accounts.gone_at is 'The custom resource was seen to be gone, or never came to be.';

alter table accounts enable row level security;
alter table accounts force row level security;
grant select, insert on accounts to tradingbots_api;
grant update (created_at, retired_at, gone_at) on accounts to tradingbots_api;
create policy accounts_own on accounts to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table bots (
  user_id    uuid not null references users (id),
  id         text not null unique,
  namespace  text not null,
  account_id text,
  is_default boolean not null default false,
  created_at timestamptz(3) not null default now(),
  retired_at timestamptz(3),
  gone_at    timestamptz(3),
  primary key (user_id, id),
  foreign key (user_id, account_id) references accounts (user_id, id)
);
comment on column bots.account_id is 'NULL for a paper bot.';
comment on column bots.created_at is 'When its creation was last begun: a repeated request begins anew.';
comment on column bots.is_default is 'The bot behind /api/robot.';
create unique index bots_one_default on bots (user_id)
  where is_default and retired_at is null and gone_at is null;
create index bots_by_account on bots (user_id, account_id);

alter table bots enable row level security;
alter table bots force row level security;
grant select, insert on bots to tradingbots_api;
grant update (account_id, created_at, retired_at, gone_at) on bots to tradingbots_api;
create policy bots_own on bots to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

-- The journal learns from a pod's token which bot speaks and may look up that one.
grant select (user_id, id, namespace, account_id) on bots to tradingbots_journal;
create policy bots_speaking on bots for select to tradingbots_journal
  using (id = (select nullif(current_setting('app.bot_id', true), '')));

create table idempotency_keys (
  user_id    uuid not null references users (id),
  key        text not null,
  request    text not null,
  object_id  text not null,
  response   json,
  claimed_at timestamptz(3) default now(),
  created_at timestamptz(3) not null default now(),
  primary key (user_id, key)
);
comment on column idempotency_keys.request is 'Path and SHA-256 of the body: the same key for another request is a mistake.';
comment on column idempotency_keys.object_id is 'Chosen with the key: whoever repeats the request creates this object or none.';
comment on column idempotency_keys.response is 'NULL until an answer is kept.';
comment on column idempotency_keys.claimed_at is 'Since when a request is under way; NULL after it has failed.';

alter table idempotency_keys enable row level security;
alter table idempotency_keys force row level security;
grant select, insert, delete on idempotency_keys to tradingbots_api;
grant update (response, claimed_at) on idempotency_keys to tradingbots_api;
create policy idempotency_keys_own on idempotency_keys to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
