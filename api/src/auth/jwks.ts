import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { FAILURE } from "../problem.ts";
import type { Tokens } from "./tokens.ts";

const Jwk = z.object({
  kty: z.string().optional(),
  crv: z.string().optional(),
  x: z.string().optional(),
  y: z.string().optional(),
  kid: z.string(),
  alg: z.string(),
  use: z.string(),
});

const KeySet = z.object({ keys: z.array(Jwk) }).meta({
  examples: [
    {
      keys: [
        {
          kty: "EC",
          crv: "P-256",
          x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
          y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
          kid: "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s",
          alg: "ES256",
          use: "sig",
        },
      ],
    },
  ],
});

const SCHEMA = {
  tags: ["auth"],
  security: [],
  summary: "The keys that access tokens are signed with",
  response: { 200: KeySet, ...FAILURE },
};

/** GET /.well-known/jwks.json */
export function jwksRoute({
  tokens,
}: {
  readonly tokens: Pick<Tokens, "jwks">;
}): FastifyPluginAsyncZod {
  return async (app) => {
    app.get("/.well-known/jwks.json", { schema: SCHEMA }, async (_, reply) => {
      reply.header("cache-control", "public, max-age=300");
      return tokens.jwks;
    });
  };
}
