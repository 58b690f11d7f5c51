import { expect, test } from "vitest";
import { acceptOf, closeFrame, readControlFrames, textFrame } from "./web-socket.ts";

test("the handshake's answer is RFC 6455's own example", () => {
  expect(acceptOf("dGhlIHNhbXBsZSBub25jZQ==")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

test.for<[length: number, head: string]>([
  [5, "8105"],
  [125, "817d"],
  [126, "817e007e"],
  [65_535, "817effff"],
  [65_536, "817f0000000000010000"],
])("a message of %i bytes is told its length as section 5.2 says", ([length, head]) => {
  const frame = textFrame("x".repeat(length));
  expect(frame.toString("hex").startsWith(head)).toBe(true);
  expect(frame).toHaveLength(head.length / 2 + length);
});

/** As a client sends it: masked. */
function masked(first: number, payload: string): Buffer {
  const mask = Buffer.from([1, 2, 3, 4]);
  const bytes = Buffer.from(payload).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
  return Buffer.concat([Buffer.from([first, 0x80 | bytes.length]), mask, bytes]);
}

test("control frames are read however they are cut", () => {
  const sent = Buffer.concat([masked(0x89, "are you there"), masked(0x8a, ""), masked(0x88, "")]);
  const whole = readControlFrames(sent);
  expect(whole.frames.map(({ kind }) => kind)).toEqual(["ping", "pong", "close"]);
  expect(whole.frames[0]?.payload.toString()).toBe("are you there");
  for (let cut = 0; cut < sent.length; cut++) {
    const first = readControlFrames(sent.subarray(0, cut));
    const second = readControlFrames(Buffer.concat([first.rest, sent.subarray(cut)]));
    expect([...first.frames, ...second.frames]).toEqual(whole.frames);
    expect(second.rest).toHaveLength(0);
  }
});

test.for<[what: string, bytes: Buffer]>([
  ["a message", masked(0x81, "hello")],
  ["a fragment", masked(0x09, "part")],
  ["a reserved bit", masked(0xc9, "")],
  ["a frame without a mask", closeFrame(1000, "bye")],
  ["a control frame that is too long", Buffer.from([0x89, 0xfe, 0x01, 0x00])],
])("%s is refused", ([, bytes]) => {
  expect(() => readControlFrames(bytes)).toThrow(/frame/);
});
