/** A frame as a server sends it (RFC 6455, section 5.2): whole, unmasked. */
export interface ServerFrame {
  readonly kind: "text" | "ping" | "other";
  readonly text: string;
}

const KINDS: Readonly<Record<number, ServerFrame["kind"]>> = { 0x81: "text", 0x89: "ping" };
/** In the second byte: the length follows in two bytes. */
const TWO_BYTES = 126;

/** Takes whole frames off the front; none of ours is longer than 64 KB. */
export function readFrames(bytes: Buffer): {
  readonly frames: readonly ServerFrame[];
  readonly rest: Buffer;
} {
  const frames: ServerFrame[] = [];
  let at = 0;
  while (bytes.length - at >= 4 || (bytes.length - at >= 2 && (bytes[at + 1] ?? 0) < TWO_BYTES)) {
    const [first = 0, short = 0] = bytes.subarray(at, at + 2);
    const from = at + (short === TWO_BYTES ? 4 : 2);
    const end = from + (short === TWO_BYTES ? bytes.readUInt16BE(at + 2) : short);
    if (end > bytes.length) break;
    frames.push({ kind: KINDS[first] ?? "other", text: bytes.toString("utf8", from, end) });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}
