import { type ExchangeAccount, FINALIZERS } from "@tradingbots/crds";
import { keyOf } from "@tradingbots/kube";
import { conditionOf } from "../conditions.ts";
import { type PackedConditions, packConditions, unpackConditions } from "../packed-conditions.ts";
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

const sharedFinalizers = createSharing<string[]>();
const sharedPermissions = createSharing<string[]>();

/** @param key the account's, where somebody holds it already */
export function accountView(
  account: ExchangeAccount,
  key = keyOf({ ...account.metadata, namespace: account.metadata.namespace ?? "" }),
): AccountView {
  return new KeptAccount(account, key);
}

/** What is an account's own; conditions are put together when somebody asks. */
class KeptAccount implements AccountView {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly createdAt: string;
  readonly isDeleting: boolean;
  readonly isRetired: boolean;
  readonly hasFinalizer: boolean;
  readonly finalizers: readonly string[];
  readonly spec: ExchangeAccount["spec"];
  readonly #conditions: PackedConditions | undefined;
  readonly #rest: Omit<AccountStatus, "conditions">;

  constructor({ metadata, spec, status = {} }: ExchangeAccount, key: string) {
    const { conditions, ...rest } = status;
    this.key = key;
    this.namespace = sharedText(metadata.namespace ?? "");
    this.name = metadata.name;
    this.uid = metadata.uid;
    this.resourceVersion = metadata.resourceVersion;
    this.generation = metadata.generation;
    this.createdAt = metadata.creationTimestamp;
    this.isDeleting = metadata.deletionTimestamp !== undefined;
    this.isRetired = this.isDeleting || spec.state === "Retired";
    this.finalizers = sharedFinalizers(metadata.finalizers ?? []);
    this.hasFinalizer = this.finalizers.includes(FINALIZERS.account);
    this.spec = spec;
    this.#conditions = conditions === undefined ? undefined : packConditions(conditions);
    this.#rest = withSharedVerification(rest);
  }

  get status(): AccountStatus {
    const conditions = this.#conditions;
    return conditions === undefined
      ? this.#rest
      : { ...this.#rest, conditions: unpackConditions(conditions) };
  }
}

/** Texts that thousands of accounts share are held once. */
function withSharedVerification(rest: Omit<AccountStatus, "conditions">): typeof rest {
  const { verification } = rest;
  if (verification === undefined) return rest;
  const permissions = sharedPermissions(verification.permissions);
  return { ...rest, verification: { ...withSharedTexts(verification), permissions } };
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
  return account.isRetired ? undefined : identityOf(account);
}

/** The same, also of one that has ended. */
export function identityOf(account: AccountView): string | undefined {
  const id = connectedId(account) ?? account.status.verification?.exchangeAccountId;
  if (id === undefined) return undefined;
  return `${account.spec.exchange}/${account.spec.testnet ? "testnet" : "live"}/${id}`;
}

export function isReady(account: AccountView): boolean {
  return conditionOf(account.status.conditions, "Ready")?.status === "True";
}
