import type { Queryable } from "../database.ts";

export interface Notice {
  readonly userId: string;
  readonly kind: string;
  /** A sentence for the user. */
  readonly message: string;
  /** Of two notices with the same `once` a user gets the first. */
  readonly once?: string;
}

/** Leaves a user a notice; for the worker's role inside the user's transaction. */
export async function giveNotice(
  database: Queryable,
  { userId, kind, message, once }: Notice,
): Promise<void> {
  await database.query(
    `insert into notices (user_id, id, kind, message)
     values ($1, coalesce(md5($2)::uuid, gen_random_uuid()), $3, left($4, 500))
     on conflict do nothing`,
    [userId, once ?? null, kind, message],
  );
}

export interface NoticeRow {
  readonly id: string;
  readonly kind: string;
  readonly message: string;
  readonly created_at: Date;
}

/** The user's own, the newest first; one more than the limit, when there is one. For the API's role. */
export async function pageOfNotices(
  database: Queryable,
  page: {
    readonly userId: string;
    readonly before: readonly [createdAt: Date, id: string] | undefined;
    readonly limit: number;
  },
): Promise<readonly NoticeRow[]> {
  const [createdAt, id] = page.before ?? [null, null];
  const { rows } = await database.query<NoticeRow>(
    `select id, kind, message, created_at from notices
      where user_id = $1 and ($2::timestamptz is null or (created_at, id) < ($2, $3::uuid))
      order by created_at desc, id desc limit $4`,
    [page.userId, createdAt, id, page.limit + 1],
  );
  return rows;
}
