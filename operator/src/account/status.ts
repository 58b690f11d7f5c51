import { verifyPodName } from "@tradingbots/crds";
import { conditionOf, type Fact, fact, withTransitions } from "../conditions.ts";
import {
  type AccountStatus,
  type AccountView,
  connectedId,
  currentVerification,
} from "./account-view.ts";
import { expiringFact } from "./expiry.ts";
import type { AccountFacts } from "./facts.ts";
import type { AccountPlan } from "./plan.ts";
import { ACCOUNT_CHANGED } from "./verification.ts";

interface Why {
  readonly reason: string;
  readonly message: string;
}

/** What the account's status shall say, with the result that the plan brings. */
export function accountStatus(facts: AccountFacts, plan: AccountPlan): AccountStatus {
  const account = withResult(facts.account, plan);
  const { verification } = account.status;
  // The account's own memory goes first: the result may be about another version of the key.
  const exchangeAccountId = connectedId(facts.account) ?? connectedId(account);
  const now = { ...facts, account };
  const credentials = credentialsFact(now);
  const verified = verifiedFact(now);
  const expiring = expiringFact(account, facts.now) ?? [];
  return {
    observedGeneration: account.generation,
    conditions: withTransitions(
      [readyFact(now, credentials, verified), credentials, verified, expiring].flat(),
      facts.account.status.conditions,
      facts.now,
    ),
    ...(verification === undefined ? {} : { verification }),
    ...(exchangeAccountId === undefined ? {} : { exchangeAccountId }),
  };
}

function withResult(account: AccountView, { result }: AccountPlan): AccountView {
  if (result === undefined) return account;
  const { credentialsVersion } = account.spec;
  return {
    ...account,
    status: { ...account.status, verification: { credentialsVersion, ...result } },
  };
}

const PRESENT: Why = { reason: "Present", message: "The key is in Vault." };
const MISSING: Why = {
  reason: "CredentialsMissing",
  message: "Vault has no key for this account: store one.",
};
const OUTDATED: Why = {
  reason: "CredentialsMissing",
  message: "The new version of the key is not in Vault yet.",
};
const NO_VAULT: Why = {
  reason: "VaultUnavailable",
  message: "Vault does not answer; it is asked again.",
};
const UNSEEN: Why = { reason: "Verifying", message: "The key has not been looked for yet." };
const VERIFYING: Why = {
  reason: "Verifying",
  message: "The key is being checked at the exchange.",
};
const ACCEPTED: Why = { reason: "Verified", message: "The exchange accepts the key." };
const NO_CLASS: Why = {
  reason: "ClassNotFound",
  message: "The BotClass whose image checks keys does not exist.",
};
const CONNECTED: Why = {
  reason: "AccountAlreadyConnected",
  message: "This account of the exchange is connected already; retire one of the two connections.",
};

function credentialsFact({ account, key }: AccountFacts): Fact {
  const type = "CredentialsReady";
  if (currentVerification(account) !== undefined) return fact(type, "True", PRESENT);
  switch (key.kind) {
    case "present":
      return key.version >= account.spec.credentialsVersion
        ? fact(type, "True", PRESENT)
        : fact(type, "False", OUTDATED);
    case "absent":
      return fact(type, "False", MISSING);
    case "unknown":
      return fact(type, "Unknown", NO_VAULT);
    case "unasked": {
      const previous = conditionOf(account.status.conditions, type);
      return previous === undefined
        ? fact(type, "Unknown", UNSEEN)
        : fact(type, previous.status, previous);
    }
  }
  return key satisfies never;
}

function verifiedFact(facts: AccountFacts): Fact {
  const type = "Verified";
  const verification = currentVerification(facts.account);
  if (verification === undefined) return fact(type, "Unknown", unverifiedBecause(facts));
  const { state, reason, message } = verification;
  if (state === "verified") return fact(type, "True", ACCEPTED);
  if (state === "refused") return fact(type, "False", { reason: reasonOf(reason), message });
  return fact(type, "Unknown", { reason: "Unavailable", message });
}

function unverifiedBecause({ account, verifyPods, verifyClass }: AccountFacts): Why {
  const name = verifyPodName(account.name, account.spec.credentialsVersion);
  const trouble = verifyPods.find((pod) => pod.name === name)?.trouble;
  return trouble ?? (verifyClass === undefined ? NO_CLASS : VERIFYING);
}

function readyFact(facts: AccountFacts, credentials: Fact, verified: Fact): Fact {
  const type = "Ready";
  if (facts.account.isRetired) return fact(type, "False", retiringBecause(facts));
  if (credentials.status !== "True") return fact(type, "False", credentials);
  if (verified.status === "Unknown") return fact(type, "False", verified);
  if (verified.status === "False") {
    const reason = verified.reason === ACCOUNT_CHANGED ? ACCOUNT_CHANGED : "CredentialsRefused";
    return fact(type, "False", { reason, message: verified.message });
  }
  return facts.twin === undefined ? fact(type, "True", ACCEPTED) : fact(type, "False", CONNECTED);
}

function retiringBecause({ botCount }: AccountFacts): Why {
  const message =
    botCount > 0
      ? `The account's bots (${botCount}) close their positions and end first.`
      : "The key is being deleted from Vault.";
  return { reason: "Retiring", message };
}

/** Kubernetes' form of a reason. */
function reasonOf(text: string): string {
  return /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/.test(text) ? text : "Refused";
}

/** Worth an Event: what its user or an operator has to do something about. */
export function isWorthAnEvent(reason: string): boolean {
  return !["Verifying", "Verified", "Retiring", "ValidForLong"].includes(reason);
}
