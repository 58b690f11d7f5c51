import { Exchange, type ExchangeAccount } from "@tradingbots/crds";
import { z } from "zod";

const Verification = z.object({
  state: z
    .enum(["pending", "verified", "refused"])
    .describe("What the exchange said about the newest key."),
  reason: z.string().optional(),
  message: z.string().optional(),
  permissions: z.array(z.string()),
  balance: z.string().nullable(),
  asOf: z.string().nullable(),
});

export const AccountView = z
  .object({
    id: z.string(),
    exchange: Exchange,
    name: z.string(),
    testnet: z.boolean(),
    credentialsVersion: z.int(),
    state: z
      .enum(["Active", "Retired"])
      .describe("Retired: it was given up, and is gone as soon as its key is removed."),
    verification: Verification,
    createdAt: z.string(),
  })
  .meta({
    id: "Account",
    examples: [
      {
        id: "acct-2k9d7w4q8m1z6x3c5v0b",
        exchange: "bybit",
        name: "Main",
        testnet: false,
        credentialsVersion: 1,
        state: "Active",
        verification: {
          state: "verified",
          permissions: ["ContractTrade:Order", "ContractTrade:Position"],
          balance: "10250.75",
          asOf: "2026-01-01T12:00:05.000Z",
        },
        createdAt: "2026-01-01T12:00:00Z",
      },
    ],
  });
export type AccountView = z.infer<typeof AccountView>;

/** What a user sees of an exchange account. */
export function accountView({ metadata, spec, status }: ExchangeAccount): AccountView {
  return {
    id: metadata.name,
    exchange: spec.exchange,
    name: spec.name,
    testnet: spec.testnet,
    credentialsVersion: spec.credentialsVersion,
    state: spec.state,
    verification: verificationView(spec.credentialsVersion, status),
    createdAt: metadata.creationTimestamp,
  };
}

function verificationView(
  credentialsVersion: number,
  status: ExchangeAccount["status"],
): z.infer<typeof Verification> {
  const seen = status?.verification;
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  const pending = { state: "pending" as const, permissions: [], balance: null, asOf: null };
  // What is known about an older key says nothing about this one.
  if (seen === undefined || seen.credentialsVersion !== credentialsVersion) return pending;
  const known = { permissions: seen.permissions, balance: seen.balance ?? null, asOf: seen.asOf };
  if (ready?.reason === "AccountAlreadyConnected") {
    return { ...known, state: "refused", reason: ready.reason, message: ready.message };
  }
  if (seen.state === "verified") return { ...known, state: "verified" };
  // Unavailable: the exchange could not be asked, and the operator tries again.
  const state = seen.state === "refused" ? "refused" : "pending";
  return { ...known, state, reason: seen.reason, message: seen.message };
}
