import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { readConfig, watchConfig } from "./config-file.ts";
import { exampleConfig } from "./example-config.ts";

test("only a configuration that differs is a change; what is none is said and ignored", async () => {
  const directory = await mkdtemp(join(tmpdir(), "config-"));
  const path = join(directory, "config.json");
  const write = async (text: string) => writeFile(path, text);
  await write(JSON.stringify(exampleConfig));
  const generations: number[] = [];
  const errors: string[] = [];
  const unread: boolean[] = [];
  const ending = new AbortController();
  watchConfig({
    path,
    config: await readConfig(path),
    onChange: ({ generation }) => generations.push(generation),
    onUnread: (message) => unread.push(message !== undefined),
    log: { info: () => {}, warn: () => {}, error: (name) => errors.push(name) },
    signal: ending.signal,
  });
  try {
    await sleep(600);
    await write(JSON.stringify(exampleConfig, undefined, 2));
    await sleep(600);
    expect(generations).toEqual([]);
    await write("{");
    await expect.poll(() => errors).toContain("config-not-read");
    await write(JSON.stringify({ ...exampleConfig, generation: 2 }));
    await expect.poll(() => generations).toEqual([2]);
    expect(unread).toEqual([true, false]);
    // One that comes back unchanged is none that differs, and can be read.
    await write("");
    await expect.poll(() => unread).toEqual([true, false, true]);
    await write(JSON.stringify({ ...exampleConfig, generation: 2 }));
    await expect.poll(() => unread).toEqual([true, false, true, false]);
    expect([generations, errors]).toEqual([[2], ["config-not-read", "config-not-read"]]);
  } finally {
    ending.abort();
    await rm(directory, { recursive: true });
  }
});
