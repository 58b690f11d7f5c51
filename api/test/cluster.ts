import {
  API_VERSION,
  BotClass,
  bucketNamespace,
  customResourceDefinition,
  ExchangeAccount,
  TradingBot,
  TradingHalt,
} from "@tradingbots/crds";
import {
  createKubeClient,
  customResource,
  type KubeClient,
  kubeconfigAccess,
  type ObjectKey,
  type Resource,
} from "@tradingbots/kube";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { startControlPlane } from "../../hack/control-plane/control-plane.ts";

export const SYSTEM_NAMESPACE = "tradingbots";
export const BUCKETS = 2;

const GROUP_RULES = [
  {
    apiGroups: ["tradingbots.dev"],
    resources: ["tradingbots", "exchangeaccounts", "tradinghalts"],
    verbs: ["create", "get", "list", "watch", "patch"],
  },
  { apiGroups: ["tradingbots.dev"], resources: ["botclasses"], verbs: ["get", "list"] },
];

interface AnyObject {
  readonly [field: string]: unknown;
  readonly metadata: ObjectKey & { readonly [field: string]: unknown };
}

/** A kind of object that only tests touch. */
function anyResource(
  path: string,
  kind: string,
  scope: "Namespaced" | "Cluster",
): Resource<unknown> {
  const [apiVersion = "", plural = ""] = path.split("|");
  return { apiVersion, plural, kind, scope, read: (value) => value };
}

const CRDS = anyResource("apiextensions.k8s.io/v1|customresourcedefinitions", "CRD", "Cluster");
const NAMESPACES = anyResource("v1|namespaces", "Namespace", "Cluster");
const SERVICE_ACCOUNTS = anyResource("v1|serviceaccounts", "ServiceAccount", "Namespaced");
const PODS = anyResource("v1|pods", "Pod", "Namespaced");
const ROLES = anyResource("rbac.authorization.k8s.io/v1|clusterroles", "ClusterRole", "Cluster");
const BINDINGS = anyResource(
  "rbac.authorization.k8s.io/v1|clusterrolebindings",
  "ClusterRoleBinding",
  "Cluster",
);
const TokenAnswer = z.object({ status: z.object({ token: z.string() }) });

/** A real API server with our kinds, namespaces and the API's own rights, and nothing that reconciles. */
export async function startCluster() {
  const controlPlane = await startControlPlane();
  const access = await kubeconfigAccess(controlPlane.kubeconfigPath);
  const admin = createKubeClient(access);
  await applyKinds(admin);
  const namespaces = Array.from({ length: BUCKETS }, (_, bucket) => bucketNamespace(bucket));
  for (const name of [SYSTEM_NAMESPACE, ...namespaces]) {
    await admin.create<unknown>(NAMESPACES, { metadata: { name } });
  }
  await grantApi(admin);
  await createClasses(admin);
  const token = await tokenOf(admin, { account: "tradingbots-api", audience: controlPlane.issuer });
  const client = createKubeClient({ ...access, clientCertificate: undefined, token: () => token });
  return {
    controlPlane,
    admin,
    /** With the rights of the API's service account and no more. */
    client,
    namespaces,
    stop: async () => {
      await client.close();
      await admin.close();
      await controlPlane.stop();
    },
  };
}
export type TestCluster = Awaited<ReturnType<typeof startCluster>>;

async function applyKinds(admin: KubeClient): Promise<void> {
  for (const kind of [TradingBot, ExchangeAccount, BotClass, TradingHalt]) {
    const definition = z
      .looseObject({ metadata: z.looseObject({ name: z.string() }) })
      .parse(customResourceDefinition(kind));
    await admin.create(CRDS, definition);
  }
  await until(async () => {
    await admin.list(customResource(TradingBot), { namespace: "default" });
    await admin.list(customResource(ExchangeAccount), { namespace: "default" });
    await admin.list(customResource(BotClass));
  });
}

async function grantApi(admin: KubeClient): Promise<void> {
  const subject = { kind: "ServiceAccount", name: "tradingbots-api", namespace: SYSTEM_NAMESPACE };
  await admin.create(SERVICE_ACCOUNTS, { metadata: subject });
  await admin.create<unknown>(ROLES, named("api", { rules: GROUP_RULES }));
  const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "api" };
  await admin.create<unknown>(BINDINGS, named("api", { roleRef, subjects: [subject] }));
}

function named(name: string, rest: object): AnyObject {
  return { metadata: { name }, ...rest };
}

async function createClasses(admin: KubeClient): Promise<void> {
  for (const [name, ceilings] of [
    ["free", { leverage: 10, botsPerUser: 3 }],
    ["pro", { leverage: 50, botsPerUser: 20 }],
  ] as const) {
    await admin.create(customResource(BotClass), {
      apiVersion: API_VERSION,
      kind: "BotClass",
      metadata: { name },
      spec: { image: "tradingbots/bot:test", ceilings },
    });
  }
}

interface TokenWish {
  readonly account: string;
  readonly audience: string;
  readonly namespace?: string;
  /** Binds the token to a pod, as the kubelet does. */
  readonly pod?: { readonly name: string; readonly uid: string };
}

/** A token as the kubelet would project it: issued by the API server's TokenRequest. */
export async function tokenOf(
  admin: KubeClient,
  { account, audience, namespace = SYSTEM_NAMESPACE, pod }: TokenWish,
): Promise<string> {
  const tokens = anyResource(`v1|serviceaccounts/${account}/token`, "TokenRequest", "Namespaced");
  const bound =
    pod === undefined ? {} : { boundObjectRef: { kind: "Pod", apiVersion: "v1", ...pod } };
  const answer = await admin.create(tokens, {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: { name: account, namespace },
    spec: { audiences: [audience], expirationSeconds: 600, ...bound },
  });
  return TokenAnswer.parse(answer).status.token;
}

const Created = z.object({ metadata: z.object({ uid: z.string() }) });

/** A service account and a pod that runs as it; no kubelet starts it. Answers the pod's uid. */
export async function createPod(
  admin: KubeClient,
  pod: { readonly name: string; readonly namespace: string; readonly account: string },
): Promise<string> {
  const { name, namespace, account } = pod;
  await admin.create(SERVICE_ACCOUNTS, { metadata: { name: account, namespace } }).catch(() => {}); // exists
  const answer = await admin.create(PODS, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace },
    spec: {
      serviceAccountName: account,
      containers: [{ name: "bot", image: "nothing" }],
      automountServiceAccountToken: false,
    },
  });
  return Created.parse(answer).metadata.uid;
}

/** Deletes a pod at once, so that another one of its name can be made. */
export async function deletePod(
  admin: KubeClient,
  key: { readonly name: string; readonly namespace: string },
): Promise<void> {
  await admin.remove(PODS, key, { gracePeriodSeconds: 0 });
}

/** Repeats until it does not throw. */
export async function until<T>(attempt: () => Promise<T>, limitMs = 15_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}
