-- Whoever has a hundred thousand trades has them scattered over a table of millions: what is asked for is found, and added up, in an
-- index that holds it. So lists need one index instead of one for each filter, and statistics look at no row of the table.
drop index trades_by_time;
drop index trades_by_bot_and_time;
drop index trades_by_close;
create index trades_by_time on trades (user_id, opened_at desc, id desc) include (bot_id, symbol);
create index trades_by_close on trades (user_id, closed_at, id) include (bot_id, symbol, pnl, fees, funding)
  where closed_at is not null;
-- An index answers alone for pages that vacuum has seen. By default it would come after two million new trades among ten.
alter table trades set (autovacuum_vacuum_insert_scale_factor = 0.01, autovacuum_vacuum_scale_factor = 0.02);
-- Whose bot it is follows from the bot: who does not know takes a bot's trades for few and looks at each.
create statistics trades_of_bots (dependencies) on user_id, bot_id from trades;
analyze trades;

-- An erasure deletes what grows by the minute in pieces, bot by bot in the order of time.
grant select (bot_id, at) on equity, events to tradingbots_worker;
