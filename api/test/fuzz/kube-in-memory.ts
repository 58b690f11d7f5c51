import { randomUUID } from "node:crypto";
import { API_VERSION, BotClass, ExchangeAccount, TradingBot, TradingHalt } from "@tradingbots/crds";
import { z } from "zod";
import { ApiError } from "../../src/errors.ts";
import type { CustomObjects, Kube } from "../../src/kube.ts";
import { mergePatch } from "../../src/merge-patch.ts";

/** The API server as far as whoever only sends requests can tell: it keeps what fits the kind's schema. */
export function createKubeInMemory(): Kube {
  const free = BotClass.schema.parse({
    apiVersion: API_VERSION,
    kind: "BotClass",
    metadata: { name: "free", resourceVersion: "1", ...newIdentity() },
    spec: { image: "tradingbots/bot:test", ceilings: { leverage: 10, botsPerUser: 3 } },
  });
  const halts = objectsOf(TradingHalt.schema);
  return {
    bots: objectsOf(TradingBot.schema).objects,
    accounts: objectsOf(ExchangeAccount.schema).objects,
    halts: { ...halts.objects, list: async () => halts.all() },
    findClass: async () => free,
    ping: async () => {},
  };
}

function newIdentity() {
  return { uid: randomUUID(), generation: 1, creationTimestamp: "2026-01-02T03:04:05Z" };
}

const Meta = z.looseObject({
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

function keyOf({ name, namespace }: { name: string; namespace?: string | undefined }): string {
  return `${namespace ?? ""}/${name}`;
}

function objectsOf<T>(schema: z.ZodType<T>) {
  const kept = new Map<string, T>();
  let version = 0;

  function keep(value: unknown): T {
    const { metadata, ...rest } = Meta.parse(value);
    version += 1;
    const given = { ...newIdentity(), ...metadata };
    const object = schema.safeParse({
      ...rest,
      metadata: { ...given, resourceVersion: String(version) },
    });
    if (!object.success) throw new ApiError("refused_by_rule", z.prettifyError(object.error));
    kept.set(keyOf(metadata), object.data);
    return object.data;
  }

  const objects: CustomObjects<T> = {
    get: async (key) => kept.get(keyOf(key)),
    create: async (object) => keep(object),
    patch: async (key, change) => {
      const known = kept.get(keyOf(key));
      if (known === undefined) throw new ApiError("not_found", "the object is gone");
      return keep(mergePatch(known, change));
    },
  };
  return { objects, all: () => [...kept.values()] };
}
