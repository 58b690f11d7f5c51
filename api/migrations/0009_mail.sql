-- Mails on their way out. They hold links that let whoever reads them in, so they are sealed with a key that the database does not
-- know, and nothing is kept of one that has been sent or given up.

create table mails (
  user_id    uuid not null references users (id),
  id         uuid not null unique,
  sealed     bytea not null,
  attempts   int not null default 0,
  due_at     timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  primary key (user_id, id)
);
comment on column mails.due_at is 'When it is tried next; while one is being sent, when it counts as lost.';
create index mails_due on mails (due_at);

alter table mails enable row level security;
alter table mails force row level security;
grant select, insert, delete on mails to tradingbots_auth;
grant update (attempts, due_at) on mails to tradingbots_auth;
create policy mails_queue on mails for insert to tradingbots_auth
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
-- Whoever empties the outbox takes what is due, whosever it is.
create policy mails_look_up on mails for select to tradingbots_auth using (true);
create policy mails_take on mails for update to tradingbots_auth using (true);
create policy mails_remove on mails for delete to tradingbots_auth using (true);

-- A link in a mail: whoever shows it has read the mail. One for each purpose; the newest counts, and it is deleted when it is used.
create table email_tokens (
  user_id    uuid not null references users (id),
  purpose    text not null check (purpose in ('verify', 'reset')),
  hash       bytea not null check (length(hash) = 32),
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  primary key (user_id, purpose)
);
comment on column email_tokens.hash is 'SHA-256 of 32 random bytes.';

alter table email_tokens enable row level security;
alter table email_tokens force row level security;
grant select, insert, delete on email_tokens to tradingbots_auth;
grant update (hash, created_at, expires_at) on email_tokens to tradingbots_auth;
create policy email_tokens_own on email_tokens to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

alter table users add column email_verified_at timestamptz(3);
grant select (email_verified_at) on users to tradingbots_api, tradingbots_auth;
grant update (email_verified_at) on users to tradingbots_auth;
