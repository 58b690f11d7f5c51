import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { accountView } from "./account-view.ts";
import type { SymbolStatus } from "./delisting.ts";
import type { Exchange, KeyRegistration } from "./exchange.ts";
import { type FaultRule, FaultRules, type Faults } from "./faults.ts";
import type { SettingsChange } from "./settings.ts";
import { MAX_SPEED, type Replay, type ReplayClock, type ReplaySpeed } from "./replay.ts";

/** Candles that one step may play, so that a request stays below some seconds. */
const MAX_STEP = 20_000;

const Key = z.object({
  apiKey: z.string().min(1).max(100),
  apiSecret: z.string().min(1).max(200),
  balance: z.string().regex(/^\d{1,12}(\.\d{1,18})?$/, "a decimal string in USDT"),
  userId: z.int().positive().optional(),
  permissions: z.record(z.string(), z.array(z.string())).optional(),
  readOnly: z.boolean().optional(),
  ips: z.array(z.string()).max(20).optional(),
  expiresMs: z.int().positive().optional(),
});
const Step = z.object({ candles: z.int().min(1).max(MAX_STEP).default(1) });
const Speed = z.object({
  speed: z.union([z.literal("lockstep"), z.number().min(0).max(MAX_SPEED)]),
});

const Listing = z.object({
  symbol: z.string(),
  status: z.enum(["Trading", "ReduceOnly", "Closed"]),
});
const Skew = z.object({ skewMs: z.int().min(-3_600_000).max(3_600_000) });

/** Control of a running simulator: the same from tests (directly) and over HTTP (`/control`). */
export function createControl({
  exchange,
  replay,
  faults,
}: {
  readonly exchange: Exchange;
  readonly replay: Replay;
  readonly faults: Faults;
}) {
  function requireLockstep(): void {
    const { mode } = replay.clock();
    if (mode !== "lockstep" && mode !== "ended") throw new Error("step needs the speed lockstep");
  }
  return {
    /** Registers a key, or changes what a known key may do; gives back the account's number. */
    addKey(registration: KeyRegistration): { readonly userId: number } {
      return { userId: exchange.registerKey(Key.parse(registration)).account.userId };
    },
    /** False when the key was never registered. */
    revokeKey: (apiKey: string): boolean => exchange.revokeKey(apiKey),
    /** The account of a key, revoked or not; undefined for a key that was never registered. */
    account(apiKey: string) {
      const key = exchange.findKey(apiKey);
      return key && accountView(key.account, exchange);
    },
    clock: (): ReplayClock => replay.clock(),
    /** Plays candles in lockstep and gives back the clock after them. */
    step(candles = 1): ReplayClock {
      requireLockstep();
      replay.step(candles);
      return replay.clock();
    },
    /** Plays half a candle in lockstep: its open, or its inside and its close. */
    halfStep(): ReplayClock {
      requireLockstep();
      replay.halfStep();
      return replay.clock();
    },
    setSpeed(speed: ReplaySpeed): ReplayClock {
      replay.setSpeed(speed);
      return replay.clock();
    },
    /** Replaces all fault rules; none ends all faults (faults.ts says what there is). */
    setFaults: (rules: readonly FaultRule[]): void => faults.set(rules),
    /** The rules with how often each matched (`seen`) and struck (`hits`). */
    faults: () => faults.list(),
    settings: () => exchange.settings(),
    /** Changes what is given of how the exchange behaves: fees, partial fills, funding (settings.ts says what there is). */
    changeSettings: (change: SettingsChange): void => exchange.changeSettings(change),
    /** Announces the delisting of a symbol, closes it, or lists it again. */
    setSymbolStatus: (symbol: string, status: SymbolStatus): void =>
      exchange.setSymbolStatus(symbol, status),
    /** Server clock minus the clock that it goes by, from now on; ms. */
    setSkew: (skewMs: number): void => exchange.clock.setSkew(Skew.parse({ skewMs }).skewMs),
  };
}
export type Control = ReturnType<typeof createControl>;

/** `/control/*`: JSON in and out, no authentication: for demos and tests on a network of their own. */
export function registerControlApi(app: FastifyInstance, control: Control): void {
  app.post(
    "/control/keys",
    handled(Key, (registration) => control.addKey(registration)),
  );
  app.delete<{ Params: { apiKey: string } }>("/control/keys/:apiKey", (request, reply) =>
    control.revokeKey(request.params.apiKey) ? reply.code(204).send() : unknownKey(reply),
  );
  app.get<{ Params: { apiKey: string } }>(
    "/control/accounts/:apiKey",
    (request, reply) => control.account(request.params.apiKey) ?? unknownKey(reply),
  );
  app.get("/control/clock", () => control.clock());
  app.post(
    "/control/step",
    handled(Step, ({ candles }) => control.step(candles)),
  );
  app.post(
    "/control/speed",
    handled(Speed, ({ speed }) => control.setSpeed(speed)),
  );
  app.post(
    "/control/half-step",
    handled(z.object({}), () => control.halfStep()),
  );
  app.get("/control/faults", () => ({ rules: control.faults() }));
  app.post(
    "/control/faults",
    handled(FaultRules, ({ rules }) => {
      control.setFaults(rules);
      return { rules: control.faults() };
    }),
  );
  app.get("/control/settings", () => control.settings());
  app.post(
    "/control/settings",
    // Checked where it is changed.
    handled(z.custom<SettingsChange>(), (change) => {
      control.changeSettings(change);
      return control.settings();
    }),
  );
  app.post(
    "/control/symbols",
    handled(Listing, (listing) => {
      control.setSymbolStatus(listing.symbol, listing.status);
      return listing;
    }),
  );
  app.delete("/control/faults", (_request, reply) => {
    control.setFaults([]);
    return reply.code(204).send();
  });
  app.post(
    "/control/skew",
    handled(Skew, ({ skewMs }) => {
      control.setSkew(skewMs);
      return { skewMs };
    }),
  );
}

function unknownKey(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: "no such key" });
}

function handled<Schema extends z.ZodType>(
  schema: Schema,
  act: (body: z.output<Schema>) => object,
) {
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    try {
      const body = typeof request.body === "string" && request.body !== "" ? request.body : "{}";
      return reply.send(act(schema.parse(JSON.parse(body))));
    } catch (error) {
      const message = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
      return reply.code(400).send({ error: message });
    }
  };
}
