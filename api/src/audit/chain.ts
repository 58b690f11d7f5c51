import { createHash } from "node:crypto";

/** A row of `audit` as Postgres gives it back. */
export interface AuditRow {
  readonly id: string;
  readonly at: Date;
  readonly actor_kind: string;
  readonly actor_id: string | null;
  readonly user_id: string | null;
  readonly action: string;
  readonly object: string | null;
  readonly outcome: string;
  readonly code: string | null;
  readonly network: string | null;
  readonly request_id: string | null;
  readonly details: unknown;
}

export const AUDIT_COLUMNS =
  "a.id, a.at, a.actor_kind, a.actor_id, a.user_id, a.action, a.object, a.outcome, a.code, a.network::text as network, a.request_id, a.details";

/** What comes before the first link. */
export const BEFORE_FIRST = { sequence: 0, hash: Buffer.alloc(32) } as const;

export interface Link {
  /** From 1 on, without gaps. */
  readonly sequence: number;
  readonly hash: Buffer;
}

/** The link that holds an entry: SHA-256 over the hash before and the entry with its sequence as canonical JSON. */
export function linkAfter(previous: Link, entry: AuditRow): Link {
  const sequence = previous.sequence + 1;
  const text = canonicalJson({ ...exportedEntry(entry), sequence });
  return { sequence, hash: createHash("sha256").update(previous.hash).update(text).digest() };
}

/** An entry as it is exported: what the hash is made of. */
export function exportedEntry({ at, ...entry }: AuditRow): Readonly<Record<string, unknown>> {
  return { ...entry, at: at.toISOString() };
}

/** RFC 8785 for what JSON.parse gives: members sorted, no white space, numbers as ECMAScript writes them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const texts = members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${texts.join(",")}}`;
}
