import { isUint8Array } from "node:util/types";

const NEWLINE = 10;

/**
 * The lines of a body, without the empty ones; what follows the last newline is none. Bytes are cut, and only whole lines made into text:
 * a decoder of pieces makes two bytes of each character and takes twice as long.
 * @throws Error when a line is longer than `maxBytes`
 */
export async function* linesOf(
  body: AsyncIterable<unknown>,
  { maxBytes, of }: { readonly maxBytes: number; readonly of: string },
): AsyncGenerator<string, void, undefined> {
  let begun: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    if (!isUint8Array(chunk)) throw new Error("expected bytes");
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(NEWLINE, start);
      if (end === -1) break;
      const line = bytes.subarray(start, end);
      const whole = begun.length === 0 ? line : Buffer.concat([...begun, line]);
      start = end + 1;
      begun = [];
      size = 0;
      if (whole.length > 0) yield whole.toString("utf8");
    }
    if (start === bytes.length) continue;
    begun.push(bytes.subarray(start));
    size += bytes.length - start;
    if (size > maxBytes) throw new Error(`a line of ${of} has no end`);
  }
}
