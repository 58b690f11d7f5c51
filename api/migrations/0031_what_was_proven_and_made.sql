-- A log-in with a passkey that nobody has vouched for is no fresh proof: its session begins as an old one.
grant insert (authenticated_at) on sessions to tradingbots_auth;
comment on column sessions.authenticated_at is 'When its user last proved to be them: by logging in or by stepping up. 1970: never, only with a new passkey.';
-- The API has seen the custom resource of an account, too: whoever deletes it minutes later has it swept up by nobody.
grant update (made_at) on accounts to tradingbots_api;
