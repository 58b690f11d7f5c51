import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createSealer, readServiceKeys } from "./sealer.ts";

const line = () => randomBytes(32).toString("base64");

test("what was sealed opens again, also after another key took over", () => {
  const [old, fresh] = [line(), line()];
  const sealed = createSealer(readServiceKeys(`${old}\n`)).seal("secret", "totp of Ann");
  const rotated = createSealer(readServiceKeys(`${fresh}\n${old}\n`));
  expect(rotated.open(sealed, "totp of Ann")).toBe("secret");
  expect(sealed.toString("latin1")).not.toContain("secret");
});

test("the same text never looks the same", () => {
  const { seal } = createSealer(readServiceKeys(line()));
  expect(seal("a", "b")).not.toEqual(seal("a", "b"));
});

const sealer = createSealer(readServiceKeys(line()));
const sealed = sealer.seal("secret", "totp of Ann");
const flipped = (at: number) => {
  const copy = Buffer.from(sealed);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
};

test.each([
  ["another purpose", () => sealer.open(sealed, "totp of Bob")],
  ["another key", () => createSealer(readServiceKeys(line())).open(sealed, "totp of Ann")],
  ["a changed key id", () => sealer.open(flipped(0), "totp of Ann")],
  ["a changed nonce", () => sealer.open(flipped(4), "totp of Ann")],
  ["a changed tag", () => sealer.open(flipped(16), "totp of Ann")],
  ["a changed text", () => sealer.open(flipped(sealed.length - 1), "totp of Ann")],
  ["a text cut off", () => sealer.open(sealed.subarray(0, 20), "totp of Ann")],
])("it does not open for %s", (_name, open) => {
  expect(open).toThrow(/key|authenticate|tag/i);
});

test.each([
  ["none", "\n"],
  ["one that is too short", randomBytes(31).toString("base64")],
  ["words", "correct horse battery staple"],
  ["too many", Array.from({ length: 4 }, line).join("\n")],
])("a key file with %s is refused", (_name, text) => {
  expect(() => readServiceKeys(text)).toThrow(/service key/);
});
