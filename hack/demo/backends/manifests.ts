import { LABELS } from "@tradingbots/crds";
import { nodePorts } from "../../cluster/kind-config.ts";

/** Builders of what the platform leans on and does not bring: one Kubernetes object each, all in one namespace. */

export const BACKENDS_NAMESPACE = "demo";
export const POSTGRES_SECRET = "postgres";
/** Where Postgres keeps its files inside its pod. */
export const POSTGRES_DATA = "/var/lib/postgresql/data";

export interface BackendImages {
  readonly postgres: string;
  readonly vault: string;
  readonly "exchange-simulator": string;
}

export function restrictedNamespace(name: string) {
  const labels = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
  };
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

export function secret(
  key: { readonly namespace: string; readonly name: string },
  stringData: Readonly<Record<string, string>>,
) {
  return { apiVersion: "v1", kind: "Secret", metadata: key, type: "Opaque", stringData };
}

/** Its data lives as long as its pod: a demo's database is made to be thrown away. */
export function postgres(image: string) {
  return workload("StatefulSet", {
    name: "postgres",
    image,
    command: ["node", "/app/entrypoint.mjs", "-c", "max_connections=200"],
    env: [
      { name: "PGDATA", value: POSTGRES_DATA },
      { name: "POSTGRES_PASSWORD_FILE", value: "/etc/postgres/password" },
    ],
    port: 5432,
    readinessProbe: { tcpSocket: { port: "main" }, periodSeconds: 1 },
    memory: "1Gi",
    mounts: [
      { name: "data", mountPath: "/var/lib/postgresql" },
      { name: "tmp", mountPath: "/tmp" },
      { name: "password", mountPath: "/etc/postgres", readOnly: true },
    ],
    volumes: [
      { name: "data", emptyDir: {} },
      { name: "tmp", emptyDir: {} },
      { name: "password", secret: { secretName: POSTGRES_SECRET, defaultMode: 0o440 } },
    ],
  });
}

const VAULT_CONFIGURATION = `
storage "raft" {
  path    = "/vault/data"
  node_id = "vault-0"
  performance_multiplier = 1 # nobody else to wait for in an election: seconds less at start
}
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true # a demo on one machine
}
disable_mlock = true
api_addr      = "http://vault.${BACKENDS_NAMESPACE}.svc:8200"
cluster_addr  = "http://127.0.0.1:8201"
`;

export function vaultConfiguration() {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "vault", namespace: BACKENDS_NAMESPACE },
    data: { "vault.hcl": VAULT_CONFIGURATION },
  };
}

export function vault(image: string) {
  // Ready although sealed: somebody has to reach it to unseal it.
  const path = "/v1/sys/health?standbyok=true&sealedcode=200&uninitcode=200";
  return workload("StatefulSet", {
    name: "vault",
    image,
    command: ["/bin/vault", "server", "-config=/etc/vault"],
    env: [],
    port: 8200,
    readinessProbe: { httpGet: { path, port: "main" }, periodSeconds: 1 },
    memory: "512Mi",
    mounts: [
      { name: "data", mountPath: "/vault/data" },
      { name: "tmp", mountPath: "/tmp" },
      { name: "configuration", mountPath: "/etc/vault", readOnly: true },
    ],
    volumes: [
      { name: "data", emptyDir: {} },
      { name: "tmp", emptyDir: {} },
      { name: "configuration", configMap: { name: "vault" } },
    ],
  });
}

export function exchangeSimulator(image: string, speed: string) {
  return workload("Deployment", {
    name: "exchange-simulator",
    image,
    command: ["node", "/app/exchange-simulator.mjs", "--host", "0.0.0.0", "--port", "8090"],
    env: [{ name: "SPEED", value: speed }],
    port: 8090,
    readinessProbe: { httpGet: { path: "/v5/market/time", port: "main" }, periodSeconds: 1 },
    memory: "512Mi",
    mounts: [],
    volumes: [],
  });
}

export function backendServices() {
  return [
    service("postgres", 5432),
    service("vault", 8200, nodePorts.vault),
    service("exchange-simulator", 8090, nodePorts.simulator),
  ];
}

function service(name: string, port: number, nodePort?: number) {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: BACKENDS_NAMESPACE, labels: { [LABELS.name]: name } },
    spec: {
      type: nodePort === undefined ? "ClusterIP" : "NodePort",
      selector: { [LABELS.name]: name },
      ports: [
        {
          name: "main",
          port,
          targetPort: "main",
          ...(nodePort === undefined ? {} : { nodePort }),
        },
      ],
    },
  };
}

interface Workload {
  readonly name: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly env: readonly object[];
  readonly port: number;
  readonly readinessProbe: object;
  readonly memory: string;
  readonly mounts: readonly object[];
  readonly volumes: readonly object[];
}

/** One pod that passes restricted pod security; a Deployment of it never runs two at once. */
function workload(kind: "StatefulSet" | "Deployment", options: Workload) {
  const labels = { [LABELS.name]: options.name };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name: options.name, namespace: BACKENDS_NAMESPACE, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      ...(kind === "StatefulSet"
        ? { serviceName: options.name }
        : { strategy: { type: "Recreate" } }),
      template: { metadata: { labels }, spec: podSpec(options) },
    },
  };
}

function podSpec({ name, image, command, env, ...options }: Workload) {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 10_001,
      runAsGroup: 10_001,
      fsGroup: 10_001,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name,
        image,
        imagePullPolicy: "IfNotPresent",
        command,
        env,
        ports: [{ name: "main", containerPort: options.port }],
        readinessProbe: options.readinessProbe,
        resources: {
          requests: { cpu: "50m", memory: "128Mi" },
          limits: { memory: options.memory },
        },
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: options.mounts,
      },
    ],
    volumes: options.volumes,
  };
}
