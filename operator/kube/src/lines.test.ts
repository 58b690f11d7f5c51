import { expect, test } from "vitest";
import { linesOf } from "./lines.ts";

async function linesIn(chunks: readonly Uint8Array[], maxBytes = 1_000): Promise<string[]> {
  async function* body() {
    yield* chunks;
  }
  return Array.fromAsync(linesOf(body(), { maxBytes, of: "a test" }));
}

const TEXT = '{"a":1}\n\n{"b":"höchstens 3 €, 你好 😀"}\n{"c":2}\nunfinished';

test("lines are whole wherever the body is cut, in the middle of a character too", async () => {
  const bytes = Buffer.from(TEXT);
  for (let size = 1; size <= bytes.length; size++) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
      bytes.subarray(index * size, (index + 1) * size),
    );
    expect(await linesIn(chunks), `in pieces of ${size}`).toEqual([
      '{"a":1}',
      '{"b":"höchstens 3 €, 你好 😀"}',
      '{"c":2}',
    ]);
  }
});

test("a line without an end is given up", async () => {
  const piece = Buffer.alloc(400, "x");
  await expect(linesIn([piece, piece, piece])).rejects.toThrow("a line of a test has no end");
});
