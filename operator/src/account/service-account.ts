import { API_VERSION, LABELS } from "@tradingbots/crds";
import { MANAGED_BY } from "../resources.ts";
import type { AccountView } from "./account-view.ts";

/** The identity under which bots and verify pods of the account read its key, and nobody else. */
export function accountServiceAccount(account: AccountView) {
  return {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: {
      namespace: account.namespace,
      name: account.name,
      labels: {
        [LABELS.name]: "tradingbots",
        [LABELS.managedBy]: MANAGED_BY,
        [LABELS.user]: account.spec.userId,
        [LABELS.account]: account.name,
      },
      ownerReferences: [ownerOf(account)],
    },
    automountServiceAccountToken: false,
  };
}

export function ownerOf({ name, uid }: Pick<AccountView, "name" | "uid">) {
  return {
    apiVersion: API_VERSION,
    kind: "ExchangeAccount",
    name,
    uid,
    controller: true,
  };
}
