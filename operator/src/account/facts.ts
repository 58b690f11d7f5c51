import type { ClassView } from "../class-view.ts";
import type { PodView } from "../pod-view.ts";
import type { AccountView } from "./account-view.ts";

/** Everything that a decision about an account is made of. */
export interface AccountFacts {
  readonly account: AccountView;
  readonly hasServiceAccount: boolean;
  /** Bots of the account that still exist. */
  readonly botCount: number;
  /** Verify pods of the account, of any version of its key. */
  readonly verifyPods: readonly PodView[];
  /** The class whose image verifies keys. */
  readonly verifyClass: ClassView | undefined;
  /** Another active account that is the same account at the exchange and goes before this one. */
  readonly twin: string | undefined;
  readonly key: KeyFact;
  readonly now: Date;
}

/** What Vault says; `unasked` where no decision depends on it. */
export type KeyFact =
  | { readonly kind: "unasked" }
  | { readonly kind: "present"; readonly version: number }
  | { readonly kind: "absent" }
  | { readonly kind: "unknown" };
