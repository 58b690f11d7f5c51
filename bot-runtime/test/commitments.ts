import type { Intent } from "@tradingbots/crds";
import { Decimal } from "../src/money.ts";

type Commitment = NonNullable<Intent["commitment"]>;

interface Committed {
  readonly margin: Decimal;
  readonly appendedMs: number;
  settledMs: number;
}

/** As in `api/migrations/0006_commitments.sql`, ms. */
const ON_ITS_WAY_MS = 2_000;
const KEPT_MS = 600_000;

/** What the entries of an account's bots are about to take of it. Times are the journal's own, ms. */
export class Commitments {
  readonly #rows = new Map<string, Committed>();

  /** Whether the entry fits beside what others are about to take; the balance that it was measured by shows the rest. */
  fits(orderId: string, commitment: Commitment | undefined, nowMs: number): boolean {
    if (commitment === undefined) return true;
    const { margin, committed, balanceAgeMs, limit } = commitment;
    const shownUntilMs = nowMs - balanceAgeMs - ON_ITS_WAY_MS;
    const unseen = [...this.#rows].filter(
      ([id, { appendedMs, settledMs }]) =>
        id !== orderId && appendedMs >= nowMs - KEPT_MS && settledMs > shownUntilMs,
    );
    const total = unseen.reduce((sum, [, row]) => sum.plus(row.margin), new Decimal(committed));
    return total.plus(margin).lte(limit);
  }

  add(orderId: string, { margin }: Pick<Commitment, "margin">, nowMs: number): void {
    if (this.#rows.has(orderId)) return;
    this.#rows.set(orderId, {
      margin: new Decimal(margin),
      appendedMs: nowMs,
      settledMs: Infinity,
    });
  }

  /** The journal heard how the order ended. */
  settle(orderId: string, nowMs: number): void {
    const row = this.#rows.get(orderId);
    if (row !== undefined) row.settledMs = Math.min(row.settledMs, nowMs);
  }
}
