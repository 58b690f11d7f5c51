-- The lease of a bot (the right to open positions, which runs out by this database's clock), funding, and results by sums.

create table journal_leases (
  user_id       uuid not null,
  bot_id        text not null unique,
  epoch         int not null,
  pod_uid       text not null,
  is_superseded boolean not null default false,
  expires_at    timestamptz(3) not null,
  primary key (user_id, bot_id),
  foreign key (user_id, bot_id, epoch) references journal_sessions (user_id, bot_id, epoch)
);
comment on table journal_leases is 'The last lease of each bot, also when it has run out.';
comment on column journal_leases.is_superseded is 'A newer process has a session: this lease runs out and is not renewed.';

alter table journal_leases enable row level security;
alter table journal_leases force row level security;
grant select, insert, update, delete on journal_leases to tradingbots_journal;
create policy journal_leases_of_bot on journal_leases to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
-- Many bots renew in one statement: it sees the bots that its transaction names and no others.
create policy journal_leases_renewed_read on journal_leases for select to tradingbots_journal
  using (bot_id = any (string_to_array((select current_setting('app.bot_ids', true)), ',')));
create policy journal_leases_renewed on journal_leases for update to tradingbots_journal
  using (bot_id = any (string_to_array((select current_setting('app.bot_ids', true)), ',')));

create table funding (
  user_id      uuid not null,
  bot_id       text not null,
  execution_id text not null,
  epoch        int not null,
  sequence     bigint not null,
  trade_id     uuid not null,
  symbol       text not null,
  amount       numeric not null,
  currency     text not null,
  at           timestamptz(3) not null,
  primary key (user_id, bot_id, execution_id)
);
comment on column funding.amount is 'Positive when received.';
create index funding_by_trade on funding (user_id, bot_id, trade_id);

alter table funding enable row level security;
alter table funding force row level security;
grant select, insert on funding to tradingbots_journal;
create policy funding_of_bot on funding to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on funding to tradingbots_api;
create policy funding_own on funding for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

alter table trades add column funding numeric not null default 0;
comment on column trades.funding is 'Sum of the trade''s funding, positive when received; pnl = gross result - fees + funding.';

-- What the bot's result of all time was when the day began: the day's result is a difference of two sums, whatever clocks say.
-- The tables' owner sees no rows while row-level security is forced.
alter table day_baselines no force row level security;
alter table trades no force row level security;
alter table day_baselines add column starts_from numeric;
update day_baselines set starts_from = (
  select coalesce(sum(pnl), 0) from trades
   where trades.user_id = day_baselines.user_id and trades.bot_id = day_baselines.bot_id
     and closed_at < day_baselines.at);
alter table day_baselines alter column starts_from set not null;
alter table day_baselines force row level security;
alter table trades force row level security;
