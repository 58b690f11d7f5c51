import { askTogether } from "../ask-together.ts";
import type { HeldLease } from "./leases.ts";

/** Leases in one statement: it takes some milliseconds, and those behind it wait no longer. */
const BATCH_MAX = 500;

/** One statement: gives back the leases that it renewed. */
type Renew = (leases: readonly HeldLease[]) => Promise<readonly HeldLease[]>;

/** Renews leases, many in one statement. Says whether a lease was renewed; if not, asking for it anew tells why. */
export function renewLeasesTogether(renewAll: Renew): (lease: HeldLease) => Promise<boolean> {
  return askTogether(async (leases) => {
    const renewed = new Set((await renewAll(leases)).map(keyOf));
    return leases.map((lease) => renewed.has(keyOf(lease)));
  }, BATCH_MAX);
}

function keyOf({ botId, podUid, epoch }: HeldLease): string {
  return `${botId}/${podUid}/${epoch}`;
}
