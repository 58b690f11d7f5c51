-- What proves a user besides the password: a generator of codes, passkeys, and codes on paper for when both are lost.

create table second_factors (
  user_id           uuid primary key references users (id),
  totp_sealed       bytea,
  totp_confirmed_at timestamptz(3),
  totp_last_step    bigint not null default 0,
  failures          int not null default 0,
  failed_at         timestamptz(3),
  check (totp_confirmed_at is null or totp_sealed is not null)
);
comment on column second_factors.totp_sealed is 'The shared secret, sealed with a key that the database does not know.';
comment on column second_factors.totp_confirmed_at is 'NULL until a first code has shown that the secret arrived.';
comment on column second_factors.totp_last_step is 'Of the newest code that was taken: none is taken twice, nor an older one.';
comment on column second_factors.failures is 'Wrong codes since the last right one; they count from their beginning.';

create table recovery_codes (
  user_id uuid not null references users (id),
  hash    bytea not null check (length(hash) = 32),
  primary key (user_id, hash)
);
comment on table recovery_codes is 'SHA-256 of 120 random bits each. A code is deleted when it is used.';

create table passkeys (
  user_id      uuid not null references users (id),
  id           text not null unique check (length(id) <= 1400),
  public_key   bytea not null,
  counter      bigint not null,
  transports   text[] not null,
  name         text not null check (length(name) <= 64),
  created_at   timestamptz(3) not null default now(),
  last_used_at timestamptz(3),
  challenged_at timestamptz(3),
  primary key (user_id, id)
);
comment on column passkeys.id is 'The credential id, base64url.';
comment on column passkeys.public_key is 'COSE key.';
comment on column passkeys.challenged_at is 'When the challenge of the last answer was made: each is answered once, and no older one after it.';

alter table second_factors enable row level security;
alter table second_factors force row level security;
grant select, insert, delete on second_factors to tradingbots_auth;
grant update (totp_sealed, totp_confirmed_at, totp_last_step, failures, failed_at) on second_factors to tradingbots_auth;
create policy second_factors_own on second_factors to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

alter table recovery_codes enable row level security;
alter table recovery_codes force row level security;
grant select, insert, delete on recovery_codes to tradingbots_auth;
create policy recovery_codes_own on recovery_codes to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

alter table passkeys enable row level security;
alter table passkeys force row level security;
grant select, insert, delete on passkeys to tradingbots_auth;
grant update (counter, last_used_at, challenged_at) on passkeys to tradingbots_auth;
create policy passkeys_own on passkeys to tradingbots_auth
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))
  with check (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

alter table sessions add column authenticated_at timestamptz(3) not null default now();
comment on column sessions.authenticated_at is 'When its user last proved to be them: by logging in or by stepping up.';
grant select (authenticated_at) on sessions to tradingbots_api;
grant update (authenticated_at) on sessions to tradingbots_auth;
