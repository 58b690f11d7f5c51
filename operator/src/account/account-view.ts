import { type ExchangeAccount, FINALIZERS } from "@tradingbots/crds";
import { keyOf } from "@tradingbots/kube";
import { conditionOf } from "../conditions.ts";
import { createSharing, sharedText } from "../shared-values.ts";

export type AccountStatus = NonNullable<ExchangeAccount["status"]>;

export interface AccountView {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAt: string;
  readonly isDeleting: boolean;
  /** Ends or has ended: Retired, or being deleted. */
  readonly isRetired: boolean;
  readonly hasFinalizer: boolean;
  readonly finalizers: readonly string[];
  readonly spec: ExchangeAccount["spec"];
  readonly status: AccountStatus;
}

const sharedPermissions = createSharing<string[]>();

/** @param key the account's, where somebody holds it already */
export function accountView(
  { metadata, spec, status }: ExchangeAccount,
  key = keyOf({ ...metadata, namespace: metadata.namespace ?? "" }),
): AccountView {
  const { name, uid, resourceVersion, generation, finalizers = [] } = metadata;
  const namespace = metadata.namespace ?? "";
  const isDeleting = metadata.deletionTimestamp !== undefined;
  return {
    key,
    namespace,
    name,
    uid,
    resourceVersion,
    generation,
    createdAt: metadata.creationTimestamp,
    isDeleting,
    isRetired: isDeleting || spec.state === "Retired",
    hasFinalizer: finalizers.includes(FINALIZERS.account),
    finalizers,
    spec,
    status: keptStatus(status ?? {}),
  };
}

/** Texts that thousands of accounts share are held once. */
function keptStatus(status: AccountStatus): AccountStatus {
  const { conditions, verification, ...rest } = status;
  return {
    ...rest,
    ...(conditions === undefined ? {} : { conditions: conditions.map(withSharedTexts) }),
    ...(verification === undefined
      ? {}
      : {
          verification: {
            ...withSharedTexts(verification),
            permissions: sharedPermissions(verification.permissions),
          },
        }),
  };
}

function withSharedTexts<T extends { readonly reason: string; readonly message: string }>(
  said: T,
): T {
  return { ...said, reason: sharedText(said.reason), message: sharedText(said.message) };
}

/** The result that counts: of the present version of the key. */
export function currentVerification({ spec, status }: AccountView) {
  const { verification } = status;
  return verification?.credentialsVersion === spec.credentialsVersion ? verification : undefined;
}

/** The exchange's own id of the account that was connected first: it never changes. Undefined until a key is verified. */
export function connectedId({ status }: AccountView): string | undefined {
  const { exchangeAccountId, verification } = status;
  const verified = verification?.state === "verified" ? verification.exchangeAccountId : undefined;
  return exchangeAccountId ?? verified;
}

/** The exchange's own account behind the key, the same for every connection of it; undefined until it is known. */
export function exchangeIdentity(account: AccountView): string | undefined {
  const id = connectedId(account) ?? account.status.verification?.exchangeAccountId;
  if (id === undefined || account.isRetired) return undefined;
  return `${account.spec.exchange}/${account.spec.testnet ? "testnet" : "live"}/${id}`;
}

export function isReady(account: AccountView): boolean {
  return conditionOf(account.status.conditions, "Ready")?.status === "True";
}
