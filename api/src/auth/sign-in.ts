import type { FastifyReply, FastifyRequest } from "fastify";
import { keepSession, presentedRefreshToken } from "./session-cookies.ts";
import type { Sessions, SessionUser, SignedIn } from "./sessions.ts";

export interface HttpExchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** Begins a session on the device that asks, in place of the one that it may have. */
export async function signIn(
  sessions: Pick<Sessions, "begin" | "end">,
  user: SessionUser & { readonly passwordHash: string },
  { request, reply }: HttpExchange,
): Promise<SignedIn> {
  const client = { address: request.ip, userAgent: request.headers["user-agent"] ?? "" };
  const signedIn = await sessions.begin(user, client);
  const before = presentedRefreshToken(request);
  if (before !== undefined) await sessions.end(before);
  keepSession(reply, signedIn.refreshToken);
  return signedIn;
}
