import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fileText } from "./file-text.ts";

let path: string;
let directory: string;
beforeEach(() => {
  vi.useFakeTimers();
  directory = mkdtempSync(join(tmpdir(), "file-text-"));
  path = join(directory, "token");
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true });
});

test("a renewed token is sent within 10 s, and the file is not read for each request", () => {
  writeFileSync(path, "first\n");
  const token = fileText(path);
  expect(token()).toBe("first");
  writeFileSync(path, "second\n");
  vi.advanceTimersByTime(9_999);
  expect(token()).toBe("first");
  vi.advanceTimersByTime(1);
  expect(token()).toBe("second");
  writeFileSync(path, "third\n");
  vi.advanceTimersByTime(10_000);
  expect(token()).toBe("third");
});

test("while the file cannot be read the last token goes on, and what comes then is taken at once", () => {
  writeFileSync(path, "first");
  const token = fileText(path);
  expect(token()).toBe("first");
  rmSync(path);
  vi.advanceTimersByTime(10_000);
  expect(token()).toBe("first");
  writeFileSync(path, "second");
  expect(token()).toBe("second");
});

test("a file that was never there is named", () => {
  expect(fileText(path)).toThrow(`while reading ${path}`);
});
