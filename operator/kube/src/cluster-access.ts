import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileText } from "./file-text.ts";
import { jsonField } from "./json.ts";

/**
 * Where the API server is and how to prove who asks.
 *
 * Read here and not by `@kubernetes/client-node`: importing that package, or only its `dist/config.js`, raises resident
 * memory from 44 to 130 MB, because the reader pulls in every generated API class. A kubeconfig is five fields for us
 * (no exec or cloud plugins), so `yaml` (15 MB, and loaded only where there is a kubeconfig at all) reads it.
 */
export interface ClusterAccess {
  readonly server: string;
  /** The certificates of the authorities that the server is believed by now; undefined: those that Node knows. */
  readonly ca: () => string | undefined;
  readonly clientCertificate: { readonly cert: string; readonly key: string } | undefined;
  /** The bearer token to send now; undefined where a client certificate does. */
  readonly token: () => string | undefined;
}

const IN_CLUSTER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Access of a pod: the mounted service account, whose token and certificate authority the kubelet renews. */
export function inClusterAccess(
  env: { readonly host: string; readonly port: string },
  directory = IN_CLUSTER,
): ClusterAccess {
  const host = env.host.includes(":") ? `[${env.host}]` : env.host;
  return {
    server: `https://${host}:${env.port}`,
    ca: fileText(`${directory}/ca.crt`),
    clientCertificate: undefined,
    token: fileText(`${directory}/token`),
  };
}

/** True where a service account is mounted. */
export function isInCluster(): boolean {
  return existsSync(`${IN_CLUSTER}/token`);
}

/** JSON is YAML too, and needs no 15 MB of parser. */
async function parsedConfig(text: string): Promise<unknown> {
  if (text.startsWith("{")) return JSON.parse(text);
  const { parse } = await import("yaml");
  return parse(text);
}

/**
 * Access as a kubeconfig describes it: its current context with a client certificate or a token.
 * @throws Error naming what the file lacks or needs a plugin for.
 */
export async function kubeconfigAccess(path: string): Promise<ClusterAccess> {
  const config = await parsedConfig(readFileSync(path, "utf8"));
  const read = kubeconfigReader(config, path);
  const context = read.named("contexts", read.text(config, "current-context"), "context");
  const cluster = read.named("clusters", read.text(context, "cluster"), "cluster");
  const user = read.named("users", read.text(context, "user"), "user");
  if (jsonField(user, "exec") !== undefined || jsonField(user, "auth-provider") !== undefined) {
    throw new Error(
      `${path}: this user's credentials come from a plugin (exec or auth-provider), which is not supported; write a token of \`kubectl create token <service account>\` into the file instead`,
    );
  }
  const ca = read.data(cluster, "certificate-authority");
  const cert = read.data(user, "client-certificate");
  const key = read.data(user, "client-key");
  const token = jsonField(user, "token");
  const tokenFile = jsonField(user, "tokenFile");
  return {
    server: read.text(cluster, "server"),
    ca: () => ca,
    clientCertificate: cert !== undefined && key !== undefined ? { cert, key } : undefined,
    token:
      typeof tokenFile === "string"
        ? fileText(resolve(dirname(path), tokenFile))
        : () => (typeof token === "string" ? token : undefined),
  };
}

function kubeconfigReader(config: unknown, path: string) {
  function text(object: unknown, name: string): string {
    const value = jsonField(object, name);
    if (typeof value !== "string" || value === "") throw new Error(`${path}: ${name} is missing`);
    return value;
  }
  /** `name-data` (base64) or the content of the file that `name` points to. */
  function data(object: unknown, name: string): string | undefined {
    const embedded = jsonField(object, `${name}-data`);
    if (typeof embedded === "string") return Buffer.from(embedded, "base64").toString();
    const file = jsonField(object, name);
    return typeof file === "string"
      ? readFileSync(resolve(dirname(path), file), "utf8")
      : undefined;
  }
  function named(list: string, name: string, content: string): unknown {
    const items = jsonField(config, list);
    const entries: readonly unknown[] = Array.isArray(items) ? items : [];
    const found = entries.find((entry) => jsonField(entry, "name") === name);
    if (found === undefined) throw new Error(`${path}: ${list} has no entry ${name}`);
    return jsonField(found, content);
  }
  return { text, data, named };
}
