import type { Queryable } from "../database.ts";

/** One thing that a user is told. */
export interface LiveEvent {
  /** Counts from 1 for each user, without gaps. */
  readonly id: number;
  /** As it is sent: JSON of `id`, `kind`, `at` and `data`. */
  readonly text: string;
}

interface EventRow {
  readonly user_id: string;
  readonly id: string;
  readonly kind: string;
  readonly data: string;
  readonly at: Date;
}

/** Where each of some users is: the id of the last event that is not wanted any more. */
export type Places = ReadonlyMap<string, number>;

/** The next events of each user, at most `limit` each, in their order. For a transaction that names these users. */
export async function eventsAfter(
  database: Queryable,
  places: Places,
  limit: number,
): Promise<ReadonlyMap<string, readonly LiveEvent[]>> {
  const { rows } = await database.query<EventRow>(
    `select event.user_id, event.id, event.kind, event.data::text as data, event.at
       from unnest($1::uuid[], $2::bigint[]) as place (user_id, last_id)
      cross join lateral (
            select user_id, id, kind, data, at from live_events
             where live_events.user_id = place.user_id and live_events.id > place.last_id
             order by live_events.id limit $3) as event
      order by event.user_id, event.id`,
    [[...places.keys()], [...places.values()], limit],
  );
  const found = new Map<string, LiveEvent[]>();
  for (const row of rows) {
    const events = found.get(row.user_id) ?? [];
    found.set(row.user_id, events);
    events.push(eventOf(row));
  }
  return found;
}

function eventOf({ id, kind, data, at }: EventRow): LiveEvent {
  const text = `{"id":"${id}","kind":"${kind}","at":"${at.toISOString()}","data":${data}}`;
  return { id: Number(id), text };
}

/** Ids of users' newest events; users who were never told anything are left out. */
export async function readHeads(database: Queryable, userIds: readonly string[]): Promise<Places> {
  const { rows } = await database.query<{ user_id: string; last_id: string }>(
    "select user_id, last_id from live_heads where user_id = any($1::uuid[])",
    [userIds],
  );
  return new Map(rows.map(({ user_id: userId, last_id: lastId }) => [userId, Number(lastId)]));
}
