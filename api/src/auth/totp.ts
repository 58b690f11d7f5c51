import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const STEP_SECONDS = 30;
const DIGITS = 6;
/** RFC 6238 recommends one step for clocks and slow fingers. */
const STEPS_AROUND = 1;
/** As long as the hash: RFC 4226 section 4. */
const SECRET_BYTES = 20;
const ISSUER = "Trading bots";

export function newTotpSecret(): Buffer {
  return randomBytes(SECRET_BYTES);
}

/** The number of the half minute. */
export function stepAt(nowMs: number): number {
  return Math.floor(nowMs / 1_000 / STEP_SECONDS);
}

/** The code of a step: RFC 6238 with SHA-1 and six digits, which is what every app can do. */
export function codeAt(secret: Buffer, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const hash = createHmac("sha1", secret).update(counter).digest();
  const offset = hash.readUInt8(hash.length - 1) & 0x0f; // RFC 4226 section 5.3
  const number = (hash.readUInt32BE(offset) & 0x7f_ff_ff_ff) % 10 ** DIGITS;
  return String(number).padStart(DIGITS, "0");
}

export function looksLikeTotp(code: string): boolean {
  return /^\d{6}$/.test(code);
}

/** The step that a code belongs to; undefined for none near the present, or none after `lastStep`, which is used. */
export function stepOf(
  code: string,
  { secret, nowMs, lastStep }: { secret: Buffer; nowMs: number; lastStep: number },
): number | undefined {
  if (!looksLikeTotp(code)) return undefined;
  const present = stepAt(nowMs);
  let found: number | undefined;
  for (let step = present - STEPS_AROUND; step <= present + STEPS_AROUND; step++) {
    const isRight = timingSafeEqual(Buffer.from(codeAt(secret, step)), Buffer.from(code));
    if (isRight && step > lastStep) found ??= step;
  }
  return found;
}

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 4648 without padding. */
export function base32(bytes: Buffer): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => BASE32[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}

/** What a QR code for an authenticator app holds. */
export function provisioningUri(secret: Buffer, email: string): string {
  const query = new URLSearchParams({ secret: base32(secret), issuer: ISSUER });
  const label = `${encodeURIComponent(ISSUER)}:${encodeURIComponent(email)}`;
  return `otpauth://totp/${label}?${query.toString().replaceAll("+", "%20")}`;
}
