import * as z from "zod";
import { Conditions, DecimalString, Exchange, Timestamp, UserId } from "./fields.ts";
import { defineKind, immutable, rule, rules } from "./kind.ts";

/** What a `verify` pod learned about a key from the exchange itself. */
const Verification = z.object({
  credentialsVersion: z.int().min(1),
  state: z.enum(["verified", "refused", "unavailable"]),
  reason: z.string().max(64),
  message: z.string().max(512),
  permissions: z.array(z.string().max(64)).max(64).meta({ "x-kubernetes-list-type": "set" }),
  balance: DecimalString.optional(),
  currency: z.string().max(16).optional(),
  exchangeAccountId: z.string().max(64).optional(),
  expiresAt: Timestamp.optional(),
  asOf: Timestamp,
});

/** The termination message of a `verify` pod. */
export const VerificationResult = Verification.omit({ credentialsVersion: true });
export type VerificationResult = z.infer<typeof VerificationResult>;

const spec = z
  .object({
    userId: UserId.meta(immutable("userId")),
    exchange: Exchange.meta(immutable("exchange")),
    name: z.string().min(1).max(64).describe("The user's own name for the account."),
    testnet: z.boolean().default(false).meta(immutable("testnet")),
    credentialsVersion: z
      .int()
      .min(1)
      .default(1)
      .describe("Version of the key in Vault; raised by every replacement of the key."),
    state: z.enum(["Active", "Retired"]).default("Active"),
  })
  .meta(
    rules(
      rule(
        "self.credentialsVersion >= oldSelf.credentialsVersion",
        "credentialsVersion only grows: it names a version of the key in Vault",
      ),
      rule(
        "oldSelf.state != 'Retired' || self.state == 'Retired'",
        "a Retired account cannot be used again: connect the exchange account once more",
      ),
    ),
  );

const status = z.object({
  observedGeneration: z.int().min(0).optional(),
  conditions: Conditions.optional(),
  verification: Verification.optional(),
  exchangeAccountId: z
    .string()
    .max(64)
    .optional()
    .describe(
      "The exchange's own id of the account, from the first verified key; a key of another account is refused.",
    ),
});

const ready = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

export const ExchangeAccount = defineKind({
  kind: "ExchangeAccount",
  plural: "exchangeaccounts",
  singular: "exchangeaccount",
  shortNames: ["ea"],
  scope: "Namespaced",
  columns: [
    { name: "User", type: "string", jsonPath: ".spec.userId" },
    { name: "Exchange", type: "string", jsonPath: ".spec.exchange" },
    { name: "Testnet", type: "boolean", jsonPath: ".spec.testnet" },
    { name: "State", type: "string", jsonPath: ".spec.state" },
    { name: "Key-Version", type: "integer", jsonPath: ".spec.credentialsVersion" },
    { name: "Ready", type: "string", jsonPath: ready("status") },
    { name: "Reason", type: "string", jsonPath: ready("reason") },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
    { name: "Balance", type: "string", jsonPath: ".status.verification.balance", priority: 1 },
    { name: "Message", type: "string", jsonPath: ready("message"), priority: 1 },
  ],
  spec,
  status,
});
export type ExchangeAccount = z.infer<typeof ExchangeAccount.schema>;
