import { createHash } from "node:crypto";

// The part of RFC 6455 that a server needs which tells and does not listen: a library's receiver for messages costs every connection
// more memory than all the rest of it.

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // section 1.3
const OPCODE = { text: 0x1, close: 0x8, ping: 0x9, pong: 0xa } as const;
const FINAL = 0x80;
const MASKED = 0x80;
/** Of a control frame (section 5.5); nothing else may be sent to us. */
const CONTROL_BYTES_MAX = 125;
const MASK_BYTES = 4;

/** Close codes: section 7.4.1, and IANA's registry for 1013. Those from 4000 on are ours. */
export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  tryAgainLater: 1013,
  sessionEnded: 4401,
  authenticateAgain: 4408,
} as const;

/** What the server answers to the client's `Sec-WebSocket-Key`. */
export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}${GUID}`).digest("base64");
}

/** 16 random bytes in base64. */
export function isKey(key: string | undefined): key is string {
  return key !== undefined && /^[A-Za-z0-9+/]{22}==$/.test(key);
}

export function textFrame(text: string): Buffer {
  return frame(OPCODE.text, Buffer.from(text));
}

export function pingFrame(): Buffer {
  return frame(OPCODE.ping, Buffer.alloc(0));
}

export function pongFrame(payload: Buffer): Buffer {
  return frame(OPCODE.pong, payload);
}

/** `reason` is ASCII and short. */
export function closeFrame(code: number, reason: string): Buffer {
  const payload = Buffer.alloc(2 + reason.length);
  payload.writeUInt16BE(code);
  payload.write(reason, 2, "latin1");
  return frame(OPCODE.close, payload);
}

function frame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([headOf(opcode, payload.length), payload]);
}

function headOf(opcode: number, length: number): Buffer {
  if (length <= CONTROL_BYTES_MAX) return Buffer.from([FINAL | opcode, length]);
  if (length <= 0xffff) return Buffer.from([FINAL | opcode, 126, length >> 8, length & 0xff]);
  const head = Buffer.alloc(10);
  head[0] = FINAL | opcode;
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

export interface ControlFrame {
  readonly kind: "close" | "ping" | "pong";
  readonly payload: Buffer;
}

/**
 * Takes whole control frames off the front of what a client has sent.
 * @throws Error for what a client may not send: messages, fragments, frames without a mask
 */
export function readControlFrames(bytes: Buffer): {
  readonly frames: readonly ControlFrame[];
  /** Of a frame that has not come to its end. */
  readonly rest: Buffer;
} {
  const frames: ControlFrame[] = [];
  let at = 0;
  while (bytes.length - at >= 2) {
    const [first = 0, second = 0] = bytes.subarray(at, at + 2);
    const kind = kindOf(first);
    const length = second & ~MASKED;
    if ((second & MASKED) === 0 || length > CONTROL_BYTES_MAX)
      throw new Error("not a client's frame");
    const end = at + 2 + MASK_BYTES + length;
    if (bytes.length < end) break;
    const mask = bytes.subarray(at + 2, at + 2 + MASK_BYTES);
    const payload = bytes.subarray(at + 2 + MASK_BYTES, end);
    frames.push({
      kind,
      payload: Buffer.from(payload.map((byte, i) => byte ^ (mask[i % MASK_BYTES] ?? 0))),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

function kindOf(first: number): ControlFrame["kind"] {
  switch (first) {
    case FINAL | OPCODE.close:
      return "close";
    case FINAL | OPCODE.ping:
      return "ping";
    case FINAL | OPCODE.pong:
      return "pong";
    default:
      throw new Error("only control frames are taken");
  }
}
