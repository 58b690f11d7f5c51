import { timingSafeEqual } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { ApiError } from "../errors.ts";
import { csrfTokenOf } from "./refresh-token.ts";
import { IDLE_DAYS_MAX, sessionEnded } from "./sessions.ts";

/** Browsers take cookies with this prefix from this very host over HTTPS only: no neighbour can plant one. */
export const REFRESH_COOKIE = "__Host-tradingbots-refresh";
const CSRF_COOKIE = "__Host-tradingbots-csrf";
const SHARED = {
  secure: true,
  sameSite: "strict",
  path: "/",
  maxAge: IDLE_DAYS_MAX * 86_400,
} as const;
const REFRESH = { ...SHARED, httpOnly: true } as const;
/** Pages of ours read this one and send it back in a header. */
const CSRF = { ...SHARED, httpOnly: false } as const;

/** Hands the refresh token to the device. */
export function keepSession(reply: FastifyReply, refreshToken: string): void {
  reply.setCookie(REFRESH_COOKIE, refreshToken, REFRESH);
  reply.setCookie(CSRF_COOKIE, csrfTokenOf(refreshToken), CSRF);
}

export function forgetSession(reply: FastifyReply): void {
  reply.clearCookie(REFRESH_COOKIE, REFRESH);
  reply.clearCookie(CSRF_COOKIE, CSRF);
}

/** What the device holds, unchecked. */
export function presentedRefreshToken({ cookies }: FastifyRequest): string | undefined {
  return cookies[REFRESH_COOKIE];
}

/**
 * The refresh token of the request's cookie. A browser must also show that one of our pages asked; who is no browser cannot be
 * made to send somebody's cookie.
 * @throws ApiError `session_ended` without a cookie, `csrf_token_invalid`
 */
export function refreshTokenOf({ cookies, headers }: FastifyRequest): string {
  const refreshToken = cookies[REFRESH_COOKIE];
  if (refreshToken === undefined) throw sessionEnded();
  const isBrowser = headers.origin !== undefined || headers["sec-fetch-site"] !== undefined;
  if (isBrowser && !isSame(headers["x-csrf-token"], csrfTokenOf(refreshToken))) {
    throw new ApiError("csrf_token_invalid", `send the cookie ${CSRF_COOKIE} as X-CSRF-Token`);
  }
  return refreshToken;
}

function isSame(shown: string | readonly string[] | undefined, expected: string): boolean {
  if (typeof shown !== "string") return false;
  const [a, b] = [Buffer.from(shown), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
