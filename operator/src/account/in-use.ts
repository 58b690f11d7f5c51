import { LABELS } from "@tradingbots/crds";
import { type KubeClient, PODS } from "@tradingbots/kube";
import { z } from "zod";
import { TRADING_BOTS } from "../resources.ts";
import type { AccountView } from "./account-view.ts";

/** As little as decides. */
const NamesAccount = z.object({
  spec: z.object({ accountName: z.string().optional(), userId: z.unknown() }),
});

/**
 * Whether bots of the account's user name it, or pods of bots carry it, at the API server itself. Bots are looked at as they are stored:
 * one that this release cannot read is in no store.
 */
export async function isAccountInUse(
  { namespace, name, spec }: AccountView,
  client: Pick<KubeClient, "pages" | "list">,
): Promise<boolean> {
  for await (const { items } of client.pages(TRADING_BOTS, { namespace })) {
    for (const item of items) {
      const named = NamesAccount.safeParse(item).data?.spec;
      if (named?.accountName === name && named.userId === spec.userId) return true;
    }
  }
  const labelSelector = `${LABELS.role}=bot,${LABELS.account}=${name}`;
  return (await client.list(PODS, { namespace, labelSelector })).length > 0;
}
