-- One replica of the journal that hears of a halt is enough: what it knows stands here for those that are cut off from the API server.
-- Who knows more writes over who knows less, and resource versions say who does. So there is one row, whole, and nothing in it to tidy.
create table known_halts (
  is_only boolean primary key default true check (is_only),
  as_of   bigint not null check (as_of >= 0),
  halts   json not null
);
comment on column known_halts.as_of is 'The resource version as of which no halt is missing.';
comment on column known_halts.halts is 'Name and spec of all halts of the cluster that were not lifted; some may have expired.';
grant select, insert, update on known_halts to tradingbots_journal;

-- As append_intent, and: whose the bot is, and the halts if they are known as of a later version than `halts_as_of`. Looked for after every
-- wait: a statement of its own sees what was committed meanwhile. Whoever finds the bot halted rolls back.
create function append_intent_beside_halts(of_bot text, of_namespace text, service_account text, paper_account text,
                                           of_pod text, of_epoch int, intent json, halts_as_of bigint)
  returns table (is_known boolean, newest int, newest_is_own boolean, is_leased boolean, is_free boolean,
                 is_taken boolean, user_id uuid, newer_halts json)
language plpgsql as $$
declare
  appended record;
begin
  select * into appended
    from append_intent(of_bot, of_namespace, service_account, paper_account, of_pod, of_epoch, intent);
  if not found then
    return;
  end if;
  return query
  select appended.is_known, appended.newest, appended.newest_is_own, appended.is_leased, appended.is_free,
         appended.is_taken,
         (select bots.user_id from bots where bots.id = of_bot),
         (select known_halts.halts from known_halts where known_halts.as_of > halts_as_of);
end $$;
revoke execute on function append_intent_beside_halts from public;
grant execute on function append_intent_beside_halts to tradingbots_journal;
