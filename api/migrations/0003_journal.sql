-- What bots tell the journal. A transaction of the journal speaks for one bot (`app.bot_id`), and its rows can carry no
-- user but that bot's. The API reads as the user. Every key leads with user_id, so both find their rows by index.
-- Amounts are numeric without a scale: they come back exactly as the exchange said them.

create table journal_sessions (
  user_id       uuid not null,
  bot_id        text not null,
  epoch         int not null check (epoch >= 1),
  pod_uid       text not null,
  token_issued  timestamptz(3) not null,
  last_sequence bigint not null default 0,
  started_at    timestamptz(3) not null default now(),
  primary key (user_id, bot_id, epoch),
  foreign key (user_id, bot_id) references bots (user_id, id)
);
comment on column journal_sessions.epoch is 'One per process of the bot: a pod whose container starts again gets another.';
comment on column journal_sessions.token_issued is 'By the API server, and only while the pod exists: it orders the pods of one name.';

alter table journal_sessions enable row level security;
alter table journal_sessions force row level security;
grant select, insert on journal_sessions to tradingbots_journal;
grant update (last_sequence) on journal_sessions to tradingbots_journal;
create policy journal_sessions_of_bot on journal_sessions to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );

create table intents (
  user_id          uuid not null,
  bot_id           text not null,
  client_order_id  uuid not null,
  epoch            int not null,
  attempt          int not null,
  symbol           text not null,
  side             text not null,
  quantity         numeric not null,
  leverage         int not null,
  stop_loss        numeric not null,
  take_profit      numeric not null,
  candle_open_time timestamptz(3) not null,
  confidence       numeric not null,
  at               timestamptz(3) not null,
  is_open          boolean not null default true,
  primary key (user_id, bot_id, client_order_id)
);
comment on column intents.is_open is 'No order record has said yet how it ended.';
create index intents_open on intents (user_id, bot_id) where is_open;

alter table intents enable row level security;
alter table intents force row level security;
grant select, insert on intents to tradingbots_journal;
grant update (is_open) on intents to tradingbots_journal;
create policy intents_of_bot on intents to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );

create table orders (
  user_id           uuid not null,
  bot_id            text not null,
  epoch             int not null,
  sequence          bigint not null,
  client_order_id   uuid not null,
  exchange_order_id text,
  symbol            text not null,
  purpose           text not null,
  side              text not null,
  quantity          numeric not null,
  status            text not null,
  code              text,
  message           text,
  at                timestamptz(3) not null,
  primary key (user_id, bot_id, epoch, sequence)
);
comment on table orders is 'One row per thing learned about an order, not per order.';
create index orders_by_client_order_id on orders (user_id, bot_id, client_order_id);

alter table orders enable row level security;
alter table orders force row level security;
grant select, insert on orders to tradingbots_journal;
create policy orders_of_bot on orders to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );

create table fills (
  user_id         uuid not null,
  bot_id          text not null,
  execution_id    text not null,
  epoch           int not null,
  sequence        bigint not null,
  client_order_id uuid,
  trade_id        uuid not null,
  symbol          text not null,
  purpose         text not null,
  side            text not null,
  price           numeric not null,
  quantity        numeric not null,
  fee             numeric not null,
  fee_currency    text not null,
  at              timestamptz(3) not null,
  primary key (user_id, bot_id, execution_id)
);
create index fills_by_trade on fills (user_id, bot_id, trade_id);

alter table fills enable row level security;
alter table fills force row level security;
grant select, insert on fills to tradingbots_journal;
create policy fills_of_bot on fills to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on fills to tradingbots_api;
create policy fills_own on fills for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table trades (
  user_id     uuid not null,
  bot_id      text not null,
  id          uuid not null,
  epoch       int not null,
  sequence    bigint not null,
  symbol      text not null,
  side        text not null,
  quantity    numeric not null,
  entry_price numeric not null,
  exit_price  numeric,
  pnl         numeric,
  fees        numeric not null,
  opened_at   timestamptz(3) not null,
  closed_at   timestamptz(3),
  reason      text,
  primary key (user_id, bot_id, id)
);
create index trades_by_time on trades (user_id, opened_at desc, id desc);
create index trades_by_bot_and_time on trades (user_id, bot_id, opened_at desc, id desc);
create index trades_open on trades (user_id, bot_id) where closed_at is null;

alter table trades enable row level security;
alter table trades force row level security;
grant select, insert, update on trades to tradingbots_journal;
create policy trades_of_bot on trades to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on trades to tradingbots_api;
create policy trades_own on trades for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table equity (
  user_id   uuid not null,
  bot_id    text not null,
  epoch     int not null,
  sequence  bigint not null,
  equity    numeric not null,
  available numeric not null,
  currency  text not null,
  at        timestamptz(3) not null,
  primary key (user_id, bot_id, epoch, sequence)
);
create index equity_by_time on equity (user_id, bot_id, at desc);

alter table equity enable row level security;
alter table equity force row level security;
grant select, insert on equity to tradingbots_journal;
create policy equity_of_bot on equity to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on equity to tradingbots_api;
create policy equity_own on equity for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table events (
  user_id  uuid not null,
  bot_id   text not null,
  epoch    int not null,
  sequence bigint not null,
  kind     text not null,
  message  text not null,
  at       timestamptz(3) not null,
  primary key (user_id, bot_id, epoch, sequence)
);
create index events_by_time on events (user_id, bot_id, at desc);

alter table events enable row level security;
alter table events force row level security;
grant select, insert on events to tradingbots_journal;
create policy events_of_bot on events to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on events to tradingbots_api;
create policy events_own on events for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table day_baselines (
  user_id uuid not null,
  bot_id  text not null,
  day     date not null,
  equity  numeric not null,
  at      timestamptz(3) not null,
  primary key (user_id, bot_id, day)
);
comment on table day_baselines is 'Equity at 00:00 UTC. The first word counts: a restart in the middle of the day does not move it.';

alter table day_baselines enable row level security;
alter table day_baselines force row level security;
grant select, insert on day_baselines to tradingbots_journal;
create policy day_baselines_of_bot on day_baselines to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on day_baselines to tradingbots_api;
create policy day_baselines_own on day_baselines for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));

create table reports (
  user_id     uuid not null,
  bot_id      text not null unique,
  namespace   text not null,
  epoch       int not null,
  sequence    bigint not null,
  pod_uid     text not null,
  report      json not null,
  received_at timestamptz(3) not null default now(),
  primary key (user_id, bot_id)
);
comment on table reports is 'The latest report of each bot.';
create index reports_by_time on reports (received_at);

alter table reports enable row level security;
alter table reports force row level security;
grant select, insert, update on reports to tradingbots_journal;
-- The report stream tells the operator about every bot; writing is for one bot at a time as everywhere.
create policy reports_stream on reports for select to tradingbots_journal using (true);
create policy reports_of_bot on reports to tradingbots_journal
  using (bot_id = (select nullif(current_setting('app.bot_id', true), '')))
  with check (
    bot_id = (select nullif(current_setting('app.bot_id', true), ''))
    and user_id = (select bots.user_id from bots where bots.id = (select nullif(current_setting('app.bot_id', true), '')))
  );
grant select on reports to tradingbots_api;
create policy reports_own on reports for select to tradingbots_api
  using (user_id = (select nullif(current_setting('app.user_id', true), '')::uuid));
