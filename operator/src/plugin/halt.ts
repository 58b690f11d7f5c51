import { setTimeout as sleep } from "node:timers/promises";
import { API_VERSION, TradingHalt } from "@tradingbots/crds";
import type { Kubectl } from "./kubectl.ts";

export interface HaltWish {
  readonly action: string;
  /** `all`, or `user=`, `bot=`, `exchange=`, `symbol=` with a value. */
  readonly scope: string;
  readonly reason: string;
}

const OBEYED_WITHIN_MS = 15_000;
const LOOK_EVERY_MS = 500;

/** Puts a halt in force and waits until every bot in its scope has said that it obeys. Gives back a line about it. */
export async function halt(kubectl: Kubectl, wish: HaltWish): Promise<string> {
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
      const missing = isObeyed ? "" : `; not yet: ${laggards.join(" ") || "nobody has counted"}`;
      return `${name}: ${acknowledged ?? 0} of ${matched ?? 0} bots obey, ${finished ?? 0} are done${missing}\nIt ends by: kubectl tradingbots lift ${name}`;
    }
    await sleep(LOOK_EVERY_MS);
  }
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
