import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hashDirectory } from "./images.ts";

test("a directory's hash follows names, contents and links, and nothing else", async () => {
  const directory = await mkdtemp(join(tmpdir(), "hash-"));
  const path = (name: string) => join(directory, name);
  const hashes: string[] = [];
  const record = async () => hashes.push(await hashDirectory(directory));
  await mkdir(path("nested"));
  await writeFile(path("nested/a"), "1");
  await record();
  await writeFile(path("nested/a"), "1"); // a newer time stamp only
  await record();
  await writeFile(path("nested/a"), "2");
  await record();
  await rename(path("nested/a"), path("nested/b"));
  await record();
  await symlink("nested/b", path("link"));
  await record();
  await rm(directory, { recursive: true });
  expect(hashes[1]).toBe(hashes[0]);
  expect(new Set(hashes).size).toBe(4);
});
