import { type ExchangeAccount, FINALIZERS } from "@tradingbots/crds";
import { type Kept, keyOf, type ObjectVersion, parseKey } from "@tradingbots/kube";
import { conditionOf } from "../conditions.ts";
import { pack, type Packed, unpack } from "../packed.ts";
import {
  type PackedConditions,
  packConditions,
  type PackedTime,
  packTime,
  unpackConditions,
  unpackTime,
} from "../packed-conditions.ts";
import { createSharing } from "../shared-values.ts";

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

/** @param key the account's, where somebody holds it already */
export function accountView(
  { metadata, spec, status = {} }: ExchangeAccount,
  key = keyOf({ ...metadata, namespace: metadata.namespace ?? "" }),
): AccountView {
  return concluded({
    key,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    generation: metadata.generation,
    createdAt: metadata.creationTimestamp,
    isDeleting: metadata.deletionTimestamp !== undefined,
    finalizers: metadata.finalizers ?? [],
    spec,
    status,
  });
}

/** What follows from the rest. */
type Conclusions = "namespace" | "name" | "hasFinalizer" | "isRetired";

function concluded(account: Omit<AccountView, Conclusions>): AccountView {
  const { namespace = "", name } = parseKey(account.key);
  return {
    ...account,
    namespace,
    name,
    hasFinalizer: account.finalizers.includes(FINALIZERS.account),
    isRetired: account.isDeleting || account.spec.state === "Retired",
  };
}

type Verification = NonNullable<AccountStatus["verification"]>;

type OwnSpec = "userId" | "name";
type OwnResult = "asOf" | "expiresAt" | "balance" | "exchangeAccountId";

/** What is an account's own. */
type Own = readonly [
  generation: number,
  createdAt: PackedTime,
  spec: Pick<ExchangeAccount["spec"], OwnSpec>,
  status: Pick<AccountStatus, "exchangeAccountId">,
  result: Pick<Verification, OwnResult> | null,
  since: PackedConditions["since"],
];

/** What thousands have in common. */
interface Common {
  readonly isDeleting: boolean;
  readonly finalizers: readonly string[];
  readonly spec: Omit<ExchangeAccount["spec"], OwnSpec>;
  readonly status: Omit<AccountStatus, "exchangeAccountId" | "conditions" | "verification">;
  readonly result: Omit<Verification, OwnResult> | null;
}

const sharedCommon = createSharing<Common>();

/** An account at rest: what it has in common with others is held once, all else is one text. */
export class KeptAccount implements Kept<AccountView> {
  readonly #own: Packed<Own>;
  readonly #common: Common;
  readonly #sayings: PackedConditions["sayings"];

  constructor({ spec, status, ...account }: AccountView) {
    const { userId, name, ...commonSpec } = spec;
    const { exchangeAccountId, conditions, verification, ...commonStatus } = status;
    const result = splitResult(verification);
    const { sayings, since } = packConditions(conditions);
    this.#own = pack<Own>([
      account.generation,
      packTime(account.createdAt),
      { userId, name },
      { exchangeAccountId },
      result.own,
      since,
    ]);
    const { isDeleting, finalizers } = account;
    const common = { isDeleting, finalizers, spec: commonSpec, status: commonStatus };
    this.#common = sharedCommon({ ...common, result: result.common });
    this.#sayings = sayings;
  }

  view(at: ObjectVersion): AccountView {
    const [generation, createdAt, spec, status, own, since] = unpack(this.#own);
    const { isDeleting, finalizers, result, ...common } = this.#common;
    const verification = own && result && { verification: { ...result, ...own } };
    return concluded({
      ...at,
      generation,
      createdAt: unpackTime(createdAt),
      isDeleting,
      finalizers,
      spec: { ...common.spec, ...spec },
      status: {
        ...common.status,
        ...status,
        ...verification,
        ...unpackConditions({ sayings: this.#sayings, since }),
      },
    });
  }
}

function splitResult(verification: Verification | undefined) {
  if (verification === undefined) return { own: null, common: null };
  const { asOf, expiresAt, balance, exchangeAccountId, ...common } = verification;
  return { own: { asOf, expiresAt, balance, exchangeAccountId }, common };
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
