-- Whoever ends several sessions takes them in the order of their ids, the worker too.
grant select (id) on sessions to tradingbots_worker;
