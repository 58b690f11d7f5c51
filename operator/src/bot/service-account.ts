import { API_VERSION, LABELS, paperServiceAccount } from "@tradingbots/crds";
import { MANAGED_BY } from "../resources.ts";
import type { BotView } from "./bot-view.ts";

/** A bot with an account runs as that account; a paper bot as nobody else. */
export function serviceAccountName({ name, spec }: BotView): string {
  return spec.accountName ?? paperServiceAccount(name);
}

/** The service account of a paper bot. It ends with the bot. */
export function paperAccount(bot: BotView) {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: {
      namespace: bot.namespace,
      name: paperServiceAccount(bot.name),
      labels: {
        [LABELS.name]: "tradingbots",
        [LABELS.managedBy]: MANAGED_BY,
        [LABELS.user]: bot.spec.userId,
        [LABELS.bot]: bot.name,
      },
      ownerReferences: [ownerOf(bot)],
    },
    automountServiceAccountToken: false,
  };
}

export function ownerOf({ name, uid }: Pick<BotView, "name" | "uid">) {
  return {
    apiVersion: API_VERSION,
    kind: "TradingBot",
    name,
    uid,
    controller: true,
  };
}
