import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type IsBreached, readBreachedPasswords } from "./breached-passwords.ts";

const FILE = join(import.meta.dirname, "../../data/breached-passwords.bin");
const isBreached: IsBreached = await readBreachedPasswords(FILE);

test.each(["qwertyqwerty", "QwertyQwerty", "1q2w3e4r5t6y", "leavemealone", "sonyericsson"])(
  "%s is known to everybody",
  (password) => expect(isBreached(password)).toBe(true),
);

test("what nobody has used is not", () => {
  expect(isBreached("correct horse battery")).toBe(false);
  const chance = Array.from({ length: 2_000 }, (_, index) => `nobody uses number ${index}`);
  expect(chance.filter(isBreached)).toEqual([]);
});

test("a file that is cut off is refused", async () => {
  const directory = await mkdtemp(join(tmpdir(), "breached-"));
  const path = join(directory, "cut.bin");
  await writeFile(path, Buffer.alloc(12));
  await expect(readBreachedPasswords(path)).rejects.toThrow(/not a list/);
  await rm(directory, { recursive: true });
});
