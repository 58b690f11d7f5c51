import { expect, test } from "vitest";
import { base32, codeAt, newTotpSecret, provisioningUri, stepAt, stepOf } from "./totp.ts";

/** RFC 6238 appendix B, of which apps show the last six digits. */
const RFC_SECRET = Buffer.from("12345678901234567890");
test.for<[seconds: number, code: string]>([
  [59, "94287082"],
  [1_111_111_109, "07081804"],
  [1_111_111_111, "14050471"],
  [1_234_567_890, "89005924"],
  [2_000_000_000, "69279037"],
  [20_000_000_000, "65353130"],
])("at second %d it is the code of RFC 6238", ([seconds, code]) => {
  expect(codeAt(RFC_SECRET, stepAt(seconds * 1_000))).toBe(code.slice(-6));
});

const PRESENT = 1_000;
const nowMs = PRESENT * 30_000 + 15_000;
const secret = RFC_SECRET;

test.for<[name: string, code: string, lastStep: number, step: number | undefined]>([
  ["of the present", codeAt(secret, PRESENT), 0, PRESENT],
  ["of the step before", codeAt(secret, PRESENT - 1), 0, PRESENT - 1],
  ["of the step after", codeAt(secret, PRESENT + 1), 0, PRESENT + 1],
  ["two steps old", codeAt(secret, PRESENT - 2), 0, undefined],
  ["two steps early", codeAt(secret, PRESENT + 2), 0, undefined],
  ["used", codeAt(secret, PRESENT), PRESENT, undefined],
  ["older than the used one", codeAt(secret, PRESENT - 1), PRESENT, undefined],
  ["newer than the used one", codeAt(secret, PRESENT), PRESENT - 1, PRESENT],
  ["too short", codeAt(secret, PRESENT).slice(1), 0, undefined],
  ["of other digits", "٠٠٠٠٠٠", 0, undefined],
  ["of another secret", codeAt(newTotpSecret(), PRESENT), 0, undefined],
])("a code %s", ([, code, lastStep, step]) => {
  expect(stepOf(code, { secret, nowMs, lastStep })).toBe(step);
});

test.for<[text: string, encoded: string]>([
  ["", ""],
  ["f", "MY"],
  ["fo", "MZXQ"],
  ["foo", "MZXW6"],
  ["foob", "MZXW6YQ"],
  ["fooba", "MZXW6YTB"],
  ["foobar", "MZXW6YTBOI"],
])("base32 of %o is that of RFC 4648", ([text, encoded]) => {
  expect(base32(Buffer.from(text))).toBe(encoded);
});

test("the QR code names us, the user and the secret", () => {
  expect(provisioningUri(RFC_SECRET, "ann+1@example.com")).toBe(
    "otpauth://totp/Trading%20bots:ann%2B1%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Trading%20bots",
  );
});
