import { networkOf } from "../network.ts";
import type { AuditEntry } from "./record.ts";

/** Refusals of one user that are written one by one in a minute; the others are counted. */
const PER_USER = 20;
/** Sums of one minute; strangers from more networks than that share one. */
const SUMS_MAX = 1_000;

interface Sum {
  readonly entry: AuditEntry;
  count: number;
}

/**
 * Who was refused what in one minute. Strangers are summed up by network and by whom they said they are, users beyond their first
 * refusals.
 */
export function createRefusals() {
  const sums = new Map<string, Sum>();
  const refusalsOf = new Map<string, number>();

  /** Counts a refusal and answers whether it deserves a line of its own. */
  function add(entry: AuditEntry): boolean {
    const { actorKind, actorId, userId, address = "", code = "", outcome } = entry;
    if (actorId === undefined) {
      const network = networkOf(address) ?? "unknown";
      count(`${network} ${userId ?? ""} ${code}`, { ...strangers(code), address, userId });
      return false;
    }
    const refusals = (refusalsOf.get(actorId) ?? 0) + 1;
    refusalsOf.set(actorId, refusals);
    if (refusals <= PER_USER) return true;
    count(`${actorId} ${code}`, { actorKind, actorId, userId, action: "refused", outcome, code });
    return false;
  }

  function count(key: string, entry: AuditEntry): void {
    const known = sums.get(key);
    if (known !== undefined) known.count++;
    else if (sums.size < SUMS_MAX) sums.set(key, { entry, count: 1 });
    else countInAll(entry.code ?? "");
  }

  function countInAll(code: string): void {
    const key = `all ${code}`;
    const known = sums.get(key);
    if (known !== undefined) known.count++;
    else sums.set(key, { entry: strangers(code), count: 1 }); // one per code: they are few
  }

  return { add, sums: (): readonly Readonly<Sum>[] => [...sums.values()] };
}

function strangers(code: string): AuditEntry {
  return { actorKind: "stranger", action: "refused", outcome: "denied", code };
}
