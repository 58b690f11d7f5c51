import { setTimeout as sleep } from "node:timers/promises";
import { API_VERSION, TradingHalt } from "@tradingbots/crds";
import { z } from "zod";
import type { Kubectl } from "./kubectl.ts";

export interface HaltWish {
  readonly action: string;
  /** `all`, or `user=`, `bot=`, `exchange=`, `symbol=` with a value. */
  readonly scope: string;
  readonly reason: string;
}

const OBEYED_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 500;

/**
 * Puts a halt in force and waits until every bot in its scope has said that it obeys. Gives back a line about it.
 * @throws Error when there is no bot of the name that it is for: a slip of the pen must not look like a halt
 */
export async function halt(kubectl: Kubectl, wish: HaltWish): Promise<string> {
  await requireBot(kubectl, wish.scope);
  const name = await kubectl.create(haltObject(wish));
  const deadline = performance.now() + OBEYED_WITHIN_MS;
  for (;;) {
    const [found] = await kubectl.list(
      TradingHalt.schema,
      "tradinghalts",
      "--field-selector",
      `metadata.name=${name}`,
    );
    const { matched, acknowledged, finished, laggards = [] } = found?.status ?? {};
    const isObeyed = matched !== undefined && acknowledged === matched;
    if (isObeyed || performance.now() > deadline) {
      if (matched === 0)
        return `${name}: it is in force and concerns nobody: no bot is in its scope ${wish.scope}\nIt ends by: kubectl tradingbots lift ${name}`;
      const missing = isObeyed ? "" : `; not yet: ${laggards.join(" ") || "nobody has counted"}`;
      return `${name}: ${acknowledged ?? 0} of ${matched ?? 0} bots obey, ${finished ?? 0} are done${missing}\nIt ends by: kubectl tradingbots lift ${name}`;
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** Who halts one bot means one that there is; other scopes may be for what is to come. */
async function requireBot(kubectl: Kubectl, scope: string): Promise<void> {
  const [type, name = ""] = scope.split("=", 2);
  if (type !== "bot") return;
  const named = ["--field-selector", `metadata.name=${name}`];
  // Only a sure no refuses: a switch for emergencies waits for no list that fails.
  const bots = await kubectl
    .list(z.object({}), "tradingbots", "-A", ...named)
    .catch(() => undefined);
  if (bots?.length === 0) throw new Error(`there is no bot ${name}: nothing is halted`);
}

/** Ends a halt for good. */
export async function lift(kubectl: Kubectl, name: string): Promise<string> {
  const body = JSON.stringify({ spec: { lifted: true } });
  await kubectl.text("patch", "tradinghalt", name, "--type=merge", "-p", body);
  return `${name} is lifted`;
}

function haltObject({ action, scope, reason }: HaltWish) {
  const [type = "", value] = scope.split("=", 2);
  return {
    apiVersion: API_VERSION,
    kind: "TradingHalt",
    metadata: { generateName: "halt-" },
    spec: { action, reason, scope: value === undefined ? { type } : { type, value } },
  };
}
