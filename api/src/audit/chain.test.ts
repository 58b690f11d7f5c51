import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type AuditRow, BEFORE_FIRST, canonicalJson, linkAfter } from "./chain.ts";

const ENTRY: AuditRow = {
  id: "00000000-0000-4000-8000-000000000001",
  at: new Date("2026-01-02T03:04:05.678Z"),
  actor_kind: "user",
  actor_id: "00000000-0000-4000-8000-00000000000a",
  user_id: null,
  action: "POST /api/bots",
  object: null,
  outcome: "attempted",
  code: null,
  network: "192.0.2.0/24",
  request_id: null,
  details: { b: 1, a: ["x"] },
};

test("a link is what anybody can compute with sha256sum", () => {
  const text =
    '{"action":"POST /api/bots","actor_id":"00000000-0000-4000-8000-00000000000a","actor_kind":"user",' +
    '"at":"2026-01-02T03:04:05.678Z","code":null,"details":{"a":["x"],"b":1},' +
    '"id":"00000000-0000-4000-8000-000000000001","network":"192.0.2.0/24","object":null,' +
    '"outcome":"attempted","request_id":null,"sequence":1,"user_id":null}';
  const hash = createHash("sha256").update(Buffer.alloc(32)).update(text).digest();
  expect(linkAfter(BEFORE_FIRST, ENTRY)).toEqual({ sequence: 1, hash });
});

function link(entry: AuditRow, before: Buffer = BEFORE_FIRST.hash, sequence = 0): string {
  return linkAfter({ sequence, hash: before }, entry).hash.toString("hex");
}

test("every field, the place and what came before change the hash", () => {
  const others = Object.keys(ENTRY).map((name) =>
    link({ ...ENTRY, [name]: name === "at" ? new Date(0) : "another" }),
  );
  const hashes = [
    link(ENTRY),
    link(ENTRY, Buffer.alloc(32, 1)),
    link(ENTRY, undefined, 1),
    ...others,
  ];
  expect(new Set(hashes).size).toBe(Object.keys(ENTRY).length + 3);
});

test("canonical JSON does not depend on the order of members", () => {
  expect(canonicalJson({ b: [1, { d: null, c: "é" }], a: true })).toBe(
    canonicalJson({ a: true, b: [1, { c: "é", d: null }] }),
  );
});
