import type { BotConfig } from "@tradingbots/crds";
import type { KeyDescription } from "../exchange/exchange.ts";
import type { Refusal } from "./gate.ts";

/** What a key is to be used for. */
export interface KeyUse {
  /** At the exchange itself and not on its testnet: what is lost is somebody's money. */
  readonly realMoney: boolean;
  readonly nowMs: number;
}

interface Check {
  readonly reason: string;
  readonly refuses: (key: KeyDescription, use: KeyUse) => string | undefined;
}

/**
 * What a key must be and must not be. A key that can take money out is refused on a testnet too: it is the same habit. A key
 * that works from every address is refused for real money only, because whoever steals it can use it: on a testnet and at the
 * simulator there is nothing to take.
 */
const keyChecks: readonly Check[] = [
  {
    reason: "KeyExpired",
    refuses: ({ expiresAt }, { nowMs }) =>
      expiresAt !== undefined && Date.parse(expiresAt) <= nowMs
        ? `the key expired at ${expiresAt}: create a new one at the exchange`
        : undefined,
  },
  {
    reason: "WithdrawalAllowed",
    refuses: ({ canWithdraw }) =>
      canWithdraw
        ? "the key may withdraw money: create one without the right to withdraw"
        : undefined,
  },
  {
    reason: "TransferAllowed",
    refuses: ({ canTransfer }) =>
      canTransfer
        ? "the key may transfer money to other accounts: create one without the right to transfer or pay"
        : undefined,
  },
  {
    reason: "ReadOnly",
    refuses: ({ readOnly }) =>
      readOnly ? "the key is read-only: create one that may trade" : undefined,
  },
  {
    reason: "TradingNotAllowed",
    refuses: ({ canTrade }) =>
      canTrade
        ? undefined
        : "the key may not trade perpetuals: give it orders and positions of unified trading",
  },
  {
    reason: "NoAddressList",
    refuses: ({ addresses }, { realMoney }) =>
      realMoney && addresses.length === 0
        ? "the key works from every address: bind it at the exchange to the addresses of this platform"
        : undefined,
  },
  {
    reason: "HedgeMode",
    refuses: ({ hedgeMode }) =>
      hedgeMode
        ? "the account holds positions in hedge mode: switch it to one-way mode"
        : undefined,
  },
];

/** The first thing that is wrong with the key for this use; undefined when it is fit. */
export function keyRefusal(key: KeyDescription, use: KeyUse): Refusal | undefined {
  for (const { reason, refuses } of keyChecks) {
    const message = refuses(key, use);
    if (message !== undefined) return { reason, message };
  }
  return undefined;
}

/**
 * Orders of this configuration move real money. An address that a BotClass sets may be another one of the real exchange; only
 * one without TLS is certainly none, as the simulator's.
 */
export function isRealMoney({ mode, endpoint }: Pick<BotConfig, "mode" | "endpoint">): boolean {
  return mode === "live" && !(endpoint?.restUrl.startsWith("http://") ?? false);
}
