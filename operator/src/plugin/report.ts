import { type Condition, ExchangeAccount, TradingBot } from "@tradingbots/crds";
import { conditionOf } from "../conditions.ts";
import type { Kubectl } from "./kubectl.ts";
import { table } from "./table.ts";

const NAMES_SHOWN = 3;

/** How the whole platform is: bots and accounts counted by what they are, and by what keeps them from being ready. */
export async function report(kubectl: Kubectl): Promise<string> {
  const bots = await kubectl.list(TradingBot.schema, "tradingbots", "-A");
  const accounts = await kubectl.list(ExchangeAccount.schema, "exchangeaccounts", "-A");
  return `Bots ${bots.length}\n${counted(bots)}\n\nExchange accounts ${accounts.length}\n${counted(accounts)}`;
}

interface Counted {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly state: string };
  readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
}

/** A line for each state and reason, the most frequent first, with a few names to go on with. */
function counted(objects: readonly Counted[]): string {
  const groups = new Map<string, Counted[]>(); // not by Map.groupBy: this runs on whatever Node its user has
  for (const object of objects) {
    const ready = conditionOf(object.status?.conditions, "Ready");
    const group = `${object.spec.state} ${ready?.status ?? "Unknown"} ${ready?.reason ?? "NotSeen"}`;
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [object]);
    else members.push(object);
  }
  const rows = [...groups].toSorted(([, a], [, b]) => b.length - a.length);
  return table(
    rows.map(([group, members]) => {
      const names = members.slice(0, NAMES_SHOWN).map(({ metadata }) => metadata.name);
      const more = members.length > NAMES_SHOWN ? " …" : "";
      return [String(members.length), ...group.split(" "), names.join(" ") + more];
    }),
  );
}
