-- Whoever steals an access token can register a passkey with it. It becomes proof of two factors when it is shown with the password; those
-- of before are shown with it once more.
alter table passkeys add column vouched_at timestamptz(3);
comment on column passkeys.vouched_at is 'When it was first shown together with the password.';
grant update (vouched_at) on passkeys to tradingbots_auth;

-- What is kept of whoever was erased bears another id of its bot as well: the audit knows the one that it had.
grant update (bot_id) on trades, orders, fills, funding to tradingbots_worker;

-- Whoever gets a new way in must have proven to be them, as seen by the transaction that makes it.
grant select (authenticated_at) on sessions to tradingbots_auth;
