-- A code of six digits in the letter that confirms an address: for whoever reads it on another device than the one that they signed up on.
-- It is shown by somebody who is logged in, so it names nobody.

alter table email_tokens
  add column code bytea,
  add column code_expires_at timestamptz(3),
  add column code_tries int not null default 0;
comment on column email_tokens.code is 'Sealed: a hash of six digits would hide nothing.';
comment on column email_tokens.code_tries is 'Of this code and of those before it, until none was sent for a day.';
grant update (code, code_expires_at, code_tries) on email_tokens to tradingbots_auth;
