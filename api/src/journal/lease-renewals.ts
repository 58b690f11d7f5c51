import type { HeldLease } from "./leases.ts";

/** Leases in one statement: it takes some milliseconds, and those behind it wait no longer. */
const BATCH_MAX = 500;

interface Wish {
  readonly lease: HeldLease;
  readonly settle: (renewed: boolean) => void;
  readonly fail: (error: unknown) => void;
}

/** One statement: gives back the leases that it renewed. */
type Renew = (leases: readonly HeldLease[]) => Promise<readonly HeldLease[]>;

/**
 * Renews leases, many in one statement: what arrives while one is under way travels with the next. How many wait is bounded
 * by the requests that the journal takes.
 */
export function renewLeasesTogether(renewAll: Renew) {
  const waiting: Wish[] = [];
  let isRunning = false;

  async function run(): Promise<void> {
    isRunning = true;
    while (waiting.length > 0) await renewBatch(renewAll, waiting.splice(0, BATCH_MAX));
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

async function renewBatch(renewAll: Renew, wishes: readonly Wish[]): Promise<void> {
  try {
    const leases = await renewAll(wishes.map(({ lease }) => lease));
    const renewed = new Set(leases.map(keyOf));
    for (const { lease, settle } of wishes) settle(renewed.has(keyOf(lease)));
  } catch (error) {
    for (const { fail } of wishes) fail(error);
  }
}

function keyOf({ botId, podUid, epoch }: HeldLease): string {
  return `${botId}/${podUid}/${epoch}`;
}
