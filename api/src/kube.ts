import { BotClass, ExchangeAccount, TradingBot, TradingHalt } from "@tradingbots/crds";
import {
  customResource,
  KubernetesError,
  type KubeClient,
  type ObjectKey,
  type Resource,
} from "@tradingbots/kube";
import { ApiError } from "./errors.ts";

/** What the API sends to create an object. */
interface NewObject {
  readonly [field: string]: unknown;
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    /** Absent for kinds without one. */
    readonly namespace?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: object;
}

/** One kind of custom resource, as far as the API may touch it: it never deletes. */
export interface CustomObjects<T> {
  get(key: ObjectKey): Promise<T | undefined>;
  create(object: NewObject): Promise<T>;
  /** JSON merge patch. @throws ApiError `changed_meanwhile` when a resourceVersion in it is outdated */
  patch(key: ObjectKey, change: object): Promise<T>;
}

export interface Kube {
  readonly bots: CustomObjects<TradingBot>;
  readonly accounts: CustomObjects<ExchangeAccount>;
  readonly halts: CustomObjects<TradingHalt> & { list(): Promise<readonly TradingHalt[]> };
  findClass(name: string): Promise<BotClass | undefined>;
  /** @throws ApiError when the API server does not answer */
  ping(): Promise<void>;
}

/** What the API needs of the cluster; what the API server refuses becomes an `ApiError` with its sentence. */
export function createKube(client: KubeClient): Kube {
  const classes = customResource(BotClass);
  const halts = customResource(TradingHalt);
  return {
    bots: customObjects(client, customResource(TradingBot)),
    accounts: customObjects(client, customResource(ExchangeAccount)),
    halts: {
      ...customObjects(client, halts),
      list: () => translated(() => client.list(halts)),
    },
    findClass: (name) => translated(() => client.get(classes, { name })),
    ping: async () => void (await translated(() => client.raw("/readyz"))),
  };
}

function customObjects<T>(client: KubeClient, resource: Resource<T>): CustomObjects<T> {
  return {
    get: (key) => translated(() => client.get(resource, key)),
    create: (object) => translated(() => client.create(resource, object)),
    patch: (key, body) => translated(() => client.patch(resource, key, { type: "merge", body })),
  };
}

async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toApiError(error);
  }
}

function toApiError(cause: unknown): unknown {
  if (!(cause instanceof KubernetesError)) return unavailable(cause);
  const { status, message, reason } = cause;
  if (reason === "Conflict") {
    return new ApiError("changed_meanwhile", "read the object again and repeat", { cause });
  }
  if (status === 404) return new ApiError("not_found", "the object is gone", { cause });
  const refusal = refusalIn(message);
  if (refusal !== undefined) return new ApiError("refused_by_rule", refusal, { cause });
  const passing = status === 0 || status === 429 || status >= 500;
  return passing ? unavailable(cause) : cause;
}

function unavailable(cause: unknown): ApiError {
  return new ApiError(
    "cluster_unavailable",
    "try again in a moment; nothing runs less safely for it",
    {
      cause,
      retryAfterSeconds: 2,
    },
  );
}

/**
 * The sentences of CEL rules in the API server's message, such as
 * `TradingBot.tradingbots.dev "x" is invalid: spec: Invalid value: "object": stop it first` or, for an admission
 * policy, `… denied request: leverage 10 is above the limit`. Undefined for any other message.
 */
export function refusalIn(message: string): string | undefined {
  const denied = /denied request: (.*)$/s.exec(message)?.[1];
  if (denied !== undefined) return denied.trim();
  const invalid = / is invalid: (.*)$/s.exec(message)?.[1];
  if (invalid === undefined) return undefined;
  const list = /^\[(.*)\]$/s.exec(invalid)?.[1] ?? invalid;
  const sentences = list
    .split(/, (?=[a-zA-Z][\w.[\]]*: (?:Invalid|Required|Unsupported|Too|Duplicate|Forbidden))/)
    .map((part) =>
      /^(.*?): [A-Z][a-z]+(?: [a-z]+)*: (?:(?:"(?:[^"\\]|\\.)*"|\S+): )?(.*)$/s.exec(part),
    )
    .map((match) => match?.[2]);
  const known = sentences.filter((sentence) => sentence !== undefined && sentence !== "");
  return known.length === 0 ? list : [...new Set(known)].join("; ");
}
