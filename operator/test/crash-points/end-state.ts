import { PODS, SERVICE_ACCOUNTS } from "@tradingbots/kube";
import { BOT_CLASSES, EXCHANGE_ACCOUNTS, TRADING_BOTS } from "../../src/resources.ts";
import { NAMESPACE } from "../platform.ts";
import type { World } from "./world.ts";

/** What differs between two runs in which the same has happened. */
const INCIDENTAL: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uid>"],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "<time>"],
  [/acct-\d{20}/g, "acct"],
];

/** Everything that the operator answers for, line by line, without ids and times. */
export async function endState({ lane, kubelet }: World): Promise<readonly string[]> {
  const { client } = lane.platform;
  const inNamespace = { namespace: NAMESPACE };
  const [bots, accounts, classes, pods, serviceAccounts] = await Promise.all([
    client.list(TRADING_BOTS),
    client.list(EXCHANGE_ACCOUNTS),
    client.list(BOT_CLASSES),
    client.list(PODS, inNamespace),
    client.list(SERVICE_ACCOUNTS, inNamespace),
  ]);
  const keys = await Promise.all(
    serviceAccounts.map(({ metadata }) =>
      lane.vault.currentVersion(NAMESPACE, metadata?.name ?? ""),
    ),
  );
  const state = {
    bots: bots.map(({ metadata, spec, status }) => ({ ...lasting(metadata), spec, status })),
    accounts: accounts.map(({ metadata, spec, status }) => ({
      ...lasting(metadata),
      spec,
      status,
    })),
    classes: classes.map(({ metadata, spec, status }) => ({ ...lasting(metadata), spec, status })),
    pods: pods.map(({ metadata, spec, status }) => ({
      ...lasting(metadata),
      isDeleting: metadata?.deletionTimestamp !== undefined,
      owners: metadata?.ownerReferences?.map(({ name }) => name),
      images: spec?.containers.map(({ image }) => image),
      phase: status?.phase,
    })),
    serviceAccounts: serviceAccounts.map(({ metadata }) => lasting(metadata)),
    keys,
    positions: [...kubelet.open],
  };
  return INCIDENTAL.reduce(
    (text, [pattern, word]) => text.replaceAll(pattern, word),
    JSON.stringify(state, sorted, 1),
  ).split("\n");
}

/** Lines that only one of both has, as they are told to whoever looks for the difference. */
export function differences(
  expected: readonly string[],
  actual: readonly string[],
): readonly string[] {
  const inExpected = new Set(expected);
  const inActual = new Set(actual);
  return [
    ...expected.filter((line) => !inActual.has(line)).map((line) => `- ${line.trim()}`),
    ...actual.filter((line) => !inExpected.has(line)).map((line) => `+ ${line.trim()}`),
  ];
}

interface Metadata {
  readonly name?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly finalizers?: readonly string[] | undefined;
}

function lasting({ name, labels, annotations, finalizers }: Metadata = {}) {
  const { ["tradingbots.dev/inputs"]: _hash, ...others } = annotations ?? {};
  return { name, labels, annotations: others, finalizers };
}

/** Objects with their keys in order. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
