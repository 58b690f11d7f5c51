import { Decimal } from "decimal.js";
import type { Trade } from "../platform/rest-client.ts";

interface Outcome {
  readonly userId: string;
  readonly facts: {
    readonly apiUrl: string;
    readonly kubeconfig: string;
    readonly user: { readonly email: string; readonly password: string };
    readonly botId: string;
    readonly namespace: string;
  };
  /** Output of `kubectl get tradingbots -A`. */
  readonly bots: string;
  /** Output of `kubectl get pod`. */
  readonly pod: string;
  readonly trades: readonly Trade[];
  readonly seconds: number;
  /** Where the pinned kubectl lies. */
  /** Where the pinned kubectl and helm are. */
  readonly toolDirectories: readonly string[];
}

/** What the demo says at its end: who, which bot, its pod, its trades, and how to go on. */
export function summary(outcome: Outcome): string {
  const { userId, facts, bots, pod, trades, seconds, toolDirectories } = outcome;
  const login = JSON.stringify(facts.user);
  const token = `$(curl -s ${facts.apiUrl}/api/auth/login -H 'content-type: application/json' -d '${login}' | grep -o '"accessToken":"[^"]*' | cut -d'"' -f4)`;
  return `
User     ${userId} (${facts.user.email})
Robot    ${facts.botId} in namespace ${facts.namespace}

$ kubectl get tradingbots -A
${bots}

$ kubectl get pod ${facts.botId} -n ${facts.namespace} -o wide
${pod}

Its first ${trades.length} trades
${tradeTable(trades)}

The API is at ${facts.apiUrl}. Go on with
  curl -s "${facts.apiUrl}/api/bots" -H "Authorization: Bearer ${token}"
  export KUBECONFIG=${facts.kubeconfig} PATH=${toolDirectories.join(":")}:$PATH   # kubectl and helm as pinned
The same facts are in .demo.json. \`make down\` removes everything.
Done in ${seconds} s.`;
}

function tradeTable(trades: readonly Trade[]): string {
  const header = ["SYMBOL", "SIDE", "QUANTITY", "ENTRY", "EXIT", "REASON", "FEES", "PROFIT"];
  const rows = trades.map((trade) => [
    trade.symbol,
    trade.side,
    trade.quantity,
    shortened(trade.entryPrice),
    shortened(trade.exitPrice ?? ""),
    trade.reason ?? "",
    shortened(trade.fees),
    shortened(trade.pnl ?? ""),
  ]);
  const total = trades.reduce((sum, trade) => sum.plus(trade.pnl ?? 0), new Decimal(0));
  const table = [header, ...rows, ["", "", "", "", "", "", "total", shortened(total.toFixed())]];
  const widths = header.map((_, column) =>
    Math.max(...table.map((row) => (row[column] ?? "").length)),
  );
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** For the eye: at most four places after the point. REST and the journal keep them all. */
function shortened(amount: string): string {
  return amount === "" ? "" : new Decimal(amount).toDecimalPlaces(4).toFixed();
}
