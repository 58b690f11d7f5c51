import { conditionOf } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";

const REFUSED = "CredentialsRefused";

/** The exchange no longer accepts the key that the bot's pod runs with, as the bot itself says, or said last. */
export function refusedKeyOfPod({
  bot,
  pod,
  report,
}: Pick<BotFacts, "bot" | "pod" | "report">):
  | { readonly reason: string; readonly message: string }
  | undefined {
  if (pod === undefined) return undefined;
  if (report.kind === "unheard") {
    const known = conditionOf(bot.status.conditions, "CredentialsReady");
    return known?.reason === REFUSED ? known : undefined;
  }
  if (report.kind !== "fresh" || report.latest.podUid !== pod.uid) return undefined;
  const said = report.latest.report.blocked.find(({ reason }) => reason === REFUSED);
  return said && { reason: REFUSED, message: said.message };
}
