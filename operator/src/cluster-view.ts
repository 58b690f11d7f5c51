import type { BotClass, ExchangeAccount, TradingBot, TradingHalt } from "@tradingbots/crds";
import { LABELS } from "@tradingbots/crds";
import {
  createReflector,
  type Kept,
  type KubeClient,
  keyOf,
  type ObjectKey,
  type ObjectVersion,
  type Node,
  NODES,
  type Pod,
  PODS,
  parseKey,
  type Reflector,
  type ReflectorHandlers,
  type ReflectorOptions,
  type ReflectorTiming,
  type Resource,
  type RestartReason,
  SERVICE_ACCOUNTS,
  type ServiceAccount,
} from "@tradingbots/kube";
import {
  type AccountView,
  accountView,
  exchangeIdentity,
  KeptAccount,
} from "./account/account-view.ts";
import { type BotView, botView, KeptBot } from "./bot/bot-view.ts";
import { type ClassView, classView } from "./class-view.ts";
import { type HaltView, haltView } from "./halt/halt-view.ts";
import { KeptPod, type PodView, podView } from "./pod-view.ts";
import {
  BOT_CLASSES,
  EXCHANGE_ACCOUNTS,
  MANAGED_BY,
  TRADING_BOTS,
  TRADING_HALTS,
} from "./resources.ts";

export interface ServiceAccountView {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** The paper bot that it belongs to; undefined for an exchange account's. */
  readonly botName: string | undefined;
}

export interface NodeView {
  readonly name: string;
}

/** Who is told of changes, kind by kind. */
export interface Routes {
  readonly bot: ReflectorHandlers<BotView>;
  readonly account: ReflectorHandlers<AccountView>;
  readonly botClass: ReflectorHandlers<ClassView>;
  readonly halt: ReflectorHandlers<HaltView>;
  readonly pod: ReflectorHandlers<PodView>;
  readonly serviceAccount: ReflectorHandlers<ServiceAccountView>;
  readonly cordonedNode: ReflectorHandlers<NodeView>;
}

export interface ClusterViewOptions {
  readonly client: KubeClient;
  /** The bucket namespaces: in no other may the operator see a pod. */
  readonly namespaces: readonly string[];
  readonly routes: Routes;
  readonly timing: Partial<ReflectorTiming> | undefined;
  readonly onFilled: (kind: string, durationMs: number) => void;
  readonly onRestart: (kind: string, reason: RestartReason, error: unknown) => void;
  readonly onInvalid: (kind: string, key: string, error: unknown) => void;
}

/** Of what there is by the thousand: how an object is seen, and how its view is kept at rest. */
const BOT_VIEWS = { project: botView, keep: (bot: BotView) => new KeptBot(bot) };
const ACCOUNT_VIEWS = {
  project: accountView,
  keep: (account: AccountView) => new KeptAccount(account),
};
const POD_VIEWS = { project: podView, keep: (pod: PodView) => new KeptPod(pod) };
const SERVICE_ACCOUNT_VIEWS = {
  project: serviceAccountView,
  keep: ({ botName }: ServiceAccountView) => new KeptServiceAccount(botName),
};

/** Everything of the cluster that the operator knows, kept up to date by watches. */
export function createClusterView(options: ClusterViewOptions) {
  const { routes, namespaces } = options;
  const reflect = reflectorsOf(options);
  const bots = reflect<TradingBot, BotView>(TRADING_BOTS, {
    ...BOT_VIEWS,
    handlers: routes.bot,
    indexes: {
      account: ({ accountKey }) => accountKey,
      // What is elsewhere gets no pod, and so takes no place from anybody.
      user: ({ namespace, spec }) => (namespaces.includes(namespace) ? spec.userId : undefined),
      class: ({ spec }) => spec.className,
    },
  });
  const accounts = reflect<ExchangeAccount, AccountView>(EXCHANGE_ACCOUNTS, {
    ...ACCOUNT_VIEWS,
    handlers: routes.account,
    indexes: { identity: exchangeIdentity },
  });
  const classes = reflect<BotClass, ClassView>(BOT_CLASSES, {
    project: classView,
    handlers: routes.botClass,
  });
  const halts = reflect<TradingHalt, HaltView>(TRADING_HALTS, {
    project: haltView,
    handlers: routes.halt,
  });
  const pods = inNamespaces(namespaces, (namespace) =>
    reflect<Pod, PodView>(PODS, {
      namespace,
      labelSelector: `${LABELS.managedBy}=${MANAGED_BY}`,
      ...POD_VIEWS,
      handlers: routes.pod,
      indexes: {
        account: ({ namespace: at, accountName }) =>
          accountName === undefined ? undefined : keyOf({ namespace: at, name: accountName }),
      },
    }),
  );
  const serviceAccounts = inNamespaces(namespaces, (namespace) =>
    reflect<ServiceAccount, ServiceAccountView>(SERVICE_ACCOUNTS, {
      namespace,
      labelSelector: `${LABELS.managedBy}=${MANAGED_BY}`,
      ...SERVICE_ACCOUNT_VIEWS,
      handlers: routes.serviceAccount,
    }),
  );
  // Only those on which nothing new may be put: a drain begins with that, and the heartbeats of all others are no concern.
  const cordonedNodes = reflect<Node, NodeView>(NODES, {
    fieldSelector: "spec.unschedulable=true",
    project: ({ metadata }) => ({ name: metadata?.name ?? "" }),
    handlers: routes.cordonedNode,
  });
  const single = [bots, accounts, classes, halts, cordonedNodes];
  const all = [...single, ...pods.all, ...serviceAccounts.all];
  return {
    bots,
    accounts,
    classes,
    halts,
    pods,
    serviceAccounts,
    cordonedNodes,
    /** Bots elsewhere are not the operator's: it could not make their pods. */
    manages: pods.covers,
    start: () => {
      for (const reflector of all) reflector.start();
    },
    stop: async () => void (await Promise.all(all.map((reflector) => reflector.stop()))),
    ...syncOf(all),
    /** Milliseconds since the epoch of the oldest of the last signs of life. */
    lastEventAt: () => Math.min(...all.map((reflector) => reflector.lastEventAt() ?? 0)),
  };
}
export type ClusterView = ReturnType<typeof createClusterView>;

/** When all have read their present state. Whether they have is asked at every event. */
function syncOf(reflectors: readonly { readonly synced: Promise<void> }[]) {
  let isOver = false;
  async function over(): Promise<void> {
    await Promise.all(reflectors.map(({ synced }) => synced));
    isOver = true;
  }
  return { synced: over(), hasSynced: () => isOver };
}

/** What all reflectors have in common. */
function reflectorsOf({ client, timing, onFilled, onRestart, onInvalid }: ClusterViewOptions) {
  return <T, View>(
    resource: Resource<T>,
    options: Pick<
      ReflectorOptions<T, View>,
      "project" | "keep" | "handlers" | "indexes" | "namespace" | "labelSelector" | "fieldSelector"
    >,
  ): Reflector<T, View> =>
    createReflector<T, View>({
      ...options,
      client,
      resource,
      ...(timing === undefined ? {} : { timing }),
      onFilled: (durationMs) => onFilled(resource.plural, durationMs),
      onRestart: (reason, error) => onRestart(resource.plural, reason, error),
      onInvalid: (key, error) => onInvalid(resource.plural, key, error),
    });
}

/** One reflector a namespace, so that the operator needs no right to read other namespaces' pods; asked like one. */
function inNamespaces<T, View>(
  namespaces: readonly string[],
  reflectorOf: (namespace: string) => Reflector<T, View>,
) {
  const reflectors = new Map(namespaces.map((namespace) => [namespace, reflectorOf(namespace)]));
  const of = (key: string) => reflectors.get(parseKey(key).namespace ?? "");
  return {
    all: [...reflectors.values()],
    covers: (namespace: string) => reflectors.has(namespace),
    views: () => reflectors.values().flatMap(({ store }) => store.views()),
    get: (key: string): View | undefined => of(key)?.store.get(key),
    /** Views in the namespace of `key` whose index has the value `key`. */
    find: (index: string, key: string): readonly View[] => [
      ...(of(key)?.store.find(index, key) ?? []),
    ],
    observe: (namespace: string, object: T) => reflectors.get(namespace)?.observe(object),
    observeRemoval: ({ uid, ...name }: ObjectKey & { readonly uid: string }, left?: T) =>
      of(keyOf(name))?.observeRemoval({ key: keyOf(name), uid }, left),
  };
}

function serviceAccountView({ metadata }: ServiceAccount, key: string): ServiceAccountView {
  return new KeptServiceAccount(metadata?.labels?.[LABELS.bot]).view({ key });
}

class KeptServiceAccount implements Kept<ServiceAccountView> {
  readonly #botName: string | undefined;

  constructor(botName: string | undefined) {
    this.#botName = botName;
  }

  view({ key }: Pick<ObjectVersion, "key">): ServiceAccountView {
    const { namespace = "", name } = parseKey(key);
    return { key, namespace, name, botName: this.#botName };
  }
}
