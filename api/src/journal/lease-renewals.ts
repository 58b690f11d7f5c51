import type { Database } from "../database.ts";
import { type HeldLease, renewLeases } from "./leases.ts";

/** Leases in one statement: it takes some milliseconds, and those behind it wait no longer. */
const BATCH_MAX = 500;

interface Wish {
  readonly lease: HeldLease;
  readonly settle: (renewed: boolean) => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Renews leases, many in one statement: what arrives while one is under way travels with the next. How many wait is bounded
 * by the requests that the journal takes.
 */
export function createLeaseRenewals(pool: Pick<Database, "connect">) {
  const waiting: Wish[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) await renew(pool, waiting.splice(0, BATCH_MAX));
    isRunning = false;
  }

  return {
    /** Says whether the lease was renewed; if not, asking for it anew tells why. */
    renew: (lease: HeldLease): Promise<boolean> =>
      new Promise((settle, fail) => {
        waiting.push({ lease, settle, fail });
        if (!isRunning) void run();
      }),
  };
}

async function renew(pool: Pick<Database, "connect">, wishes: readonly Wish[]): Promise<void> {
  try {
    const leases = await renewLeases(
      pool,
      wishes.map(({ lease }) => lease),
    );
    const renewed = new Set(leases.map(keyOf));
    for (const { lease, settle } of wishes) settle(renewed.has(keyOf(lease)));
  } catch (error) {
    for (const { fail } of wishes) fail(error);
  }
}

function keyOf({ botId, podUid, epoch }: HeldLease): string {
  return `${botId}/${podUid}/${epoch}`;
}
