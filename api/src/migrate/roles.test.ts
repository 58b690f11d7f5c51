import { expect, test } from "vitest";
import { scramVerifier } from "./roles.ts";

// The example of RFC 7677, section 3: user "user", password "pencil" (lengthened: ours have at least 8 characters).
test("a password becomes a verifier that does not contain it", () => {
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  const verifier = scramVerifier("pencil-pencil", salt);
  expect(verifier).toMatch(
    /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[\w+/=]{44}:[\w+/=]{44}$/,
  );
  expect(verifier).not.toContain("pencil");
});

test.for(["short", "pässword-pässword", "line\nfeed-feed"])("refused: %j", (password) => {
  expect(() => scramVerifier(password, Buffer.alloc(16))).toThrow(/printable ASCII/);
});
