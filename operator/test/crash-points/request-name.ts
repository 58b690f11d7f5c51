import { z } from "zod";
import { Condition } from "@tradingbots/crds";
import type { Passed } from "../line.ts";

type Request = Pick<Passed, "method" | "path" | "body">;

const OBJECT_PATH =
  /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)(?:\/namespaces\/[^/]+)?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/;

/**
 * What a request is for, such as `post-pods` or `put-tradingbots-status-Starting-Starting`: method, kind, and for a status the
 * reasons of Ready and Flat. Never a name or uid, so that it is the same in every run.
 */
export function nameRequest({ method, path, body }: Request): string {
  const { pathname, searchParams } = new URL(path, "http://any");
  if (pathname === "/v1/reports") return "journal-reports";
  if (pathname.startsWith("/v1/leases/")) return "journal-get-lease";
  if (pathname.endsWith("/login")) return "vault-login";
  if (pathname.startsWith("/v1/")) return `vault-${method.toLowerCase()}-key`;
  const [, plural = "unknown", name = "", subresource] = OBJECT_PATH.exec(pathname) ?? [];
  if (searchParams.has("watch")) return `watch-${plural}`;
  const parts = [method.toLowerCase(), isOfVerification(name, body) ? `verify-${plural}` : plural];
  if (subresource !== undefined) parts.push(subresource);
  if (plural === "leases" && method === "PATCH") parts.push(purposeOfLease(body));
  if (subresource === "status") parts.push(...reasonsIn(body));
  return parts.join("-");
}

/** Whether the request changes something in the cluster that is more than the leader's word that it lives. */
export function isWrite({ method, path }: Pick<Request, "method" | "path">): boolean {
  return method !== "GET" && !path.includes("/leases") && !path.startsWith("/v1/auth/");
}

function isOfVerification(name: string, body: string): boolean {
  return name.startsWith("verify-") || body.includes('"tradingbots.dev/role":"verify"');
}

function purposeOfLease(body: string): string {
  if (body.includes('"acquireTime"')) return "take";
  return body.includes('"holderIdentity":""') ? "free" : "renew";
}

const WithStatus = z.object({
  status: z.object({ conditions: z.array(Condition).default([]) }).default({ conditions: [] }),
});

function reasonsIn(body: string): readonly string[] {
  const { conditions } = WithStatus.parse(JSON.parse(body)).status;
  return ["Ready", "Flat"].flatMap(
    (wanted) => conditions.find(({ type }) => type === wanted)?.reason ?? [],
  );
}
