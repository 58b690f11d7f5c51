import type { VerificationResult } from "@tradingbots/crds";
import { expect } from "vitest";
import { NAMESPACE, type OperatorUnderTest, type Platform, VERIFIED } from "./platform.ts";

/** What most tests begin with, played on a platform under an operator. */
export interface Stage {
  readonly platform: Platform;
  readonly under: OperatorUnderTest;
}

export const eventually = <T>(probe: () => Promise<T>) =>
  expect.poll(probe, { timeout: 15_000, interval: 20 });

/** A bot whose pod is ready and has reported; the pod's uid. */
export async function runningBot(
  { platform, under }: Stage,
  spec: Record<string, unknown> = {},
): Promise<{ readonly name: string; readonly uid: string }> {
  const name = await platform.createBot(spec);
  await eventually(() => platform.pod(name)).toBeDefined();
  return { name, uid: await becomeReady({ platform, under }, name) };
}

/** The kubelet and the bot play their parts of a start. */
export async function becomeReady({ platform, under }: Stage, name: string): Promise<string> {
  const uid = (await platform.pod(name))?.metadata?.uid ?? "";
  const generation = (await platform.bot(name))?.metadata.generation ?? 1;
  under.report(name, uid, { generation });
  await platform.becomeReady(name);
  await eventually(() => platform.ready(name)).toBe("True Running");
  return uid;
}

/** An account whose key a verify pod has judged. */
export async function verifiedAccount(
  { platform, under }: Stage,
  spec: Record<string, unknown> = {},
  result: VerificationResult = VERIFIED,
): Promise<string> {
  const name = await platform.createAccount(spec);
  await under.vault.store(NAMESPACE, name);
  await eventually(() => platform.pod(`verify-${name}-v1`)).toBeDefined();
  await platform.end(`verify-${name}-v1`, "Succeeded", result);
  await eventually(() => platform.pod(`verify-${name}-v1`)).toBeUndefined();
  return name;
}

/** A report of a bot that holds something. */
export const HOLDING = {
  flat: false,
  openSymbols: ["BTC/USDT:USDT"],
  openEntries: [],
  positions: [
    {
      symbol: "BTC/USDT:USDT",
      side: "long" as const,
      quantity: "0.01",
      entryPrice: "60000",
      unrealisedPnl: "1",
      stopLoss: "59000",
      takeProfit: "61000",
    },
  ],
};
