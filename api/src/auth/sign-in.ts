import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { KnownDevices } from "./known-devices.ts";
import type { Method } from "./second-factors.ts";
import { keepSession, presentedRefreshToken } from "./session-cookies.ts";
import type { Proven, Sessions, SessionUser } from "./sessions.ts";
import { ACCESS_TOKEN_SECONDS } from "./tokens.ts";
import { Tier } from "./user.ts";

/** The answer to every log-in. */
export const SignedIn = z
  .object({
    user: z.object({ id: z.string(), email: z.string(), tier: Tier }),
    accessToken: z.string(),
    expiresIn: z.int().describe("Seconds."),
  })
  .meta({
    examples: [
      {
        user: {
          id: "5d0c9c3e-5b5f-4a53-9f0c-1f4f3ba1d7a2",
          email: "anna@example.com",
          tier: "pro",
        },
        accessToken: "eyJhbGciOiJFUzI1NiIs…",
        expiresIn: 900,
      },
    ],
  });

interface HttpExchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface SignInDeps {
  readonly sessions: Pick<Sessions, "begin" | "end">;
  readonly devices: KnownDevices;
}

/** Begins a session on the device that asks, in place of the one that it may have, and answers an access token. */
export async function signIn(
  { sessions, devices }: SignInDeps,
  proven: Proven & { readonly method: Method },
  { request, reply }: HttpExchange,
): Promise<string> {
  const userAgent = request.headers["user-agent"] ?? "";
  const client = { origin: request, userAgent, method: proven.method };
  const { accessToken, refreshToken } = await sessions.begin(proven, client);
  const before = presentedRefreshToken(request);
  if (before !== undefined) await sessions.end(before, request);
  keepSession(reply, refreshToken);
  const { user, passwordHash } = proven;
  devices.remember(request, reply, { id: user.id, passwordHash });
  return accessToken;
}

export function signedInBody({ id, email, tier }: SessionUser, accessToken: string) {
  return { user: { id, email, tier }, accessToken, expiresIn: ACCESS_TOKEN_SECONDS };
}
