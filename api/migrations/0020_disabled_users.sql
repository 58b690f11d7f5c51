-- Every process asks twice a second whose API tokens are over because their user was disabled.
create index users_disabled on users (disabled_at) where disabled_at is not null;
