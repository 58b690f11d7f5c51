import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { kubeconfigAccess } from "@tradingbots/kube";
import { Line } from "./line.ts";

/** A line to the API server of a kubeconfig, which shows the server's own certificate. */
export async function openClusterLine(kubeconfigPath: string): Promise<Line> {
  const access = await kubeconfigAccess(kubeconfigPath);
  const file = (name: string) => readFile(join(dirname(kubeconfigPath), name), "utf8");
  const certificate = {
    cert: await file("kube-apiserver.crt"),
    key: await file("kube-apiserver.key"),
  };
  return Line.open({ target: access.server, access, certificate });
}

/** Path of a kubeconfig that differs from the given one by the server's address. */
export async function kubeconfigTo(url: string, kubeconfigPath: string): Promise<string> {
  const { server } = await kubeconfigAccess(kubeconfigPath);
  const text = await readFile(kubeconfigPath, "utf8");
  const path = join(dirname(kubeconfigPath), `kubeconfig-${new URL(url).port}`);
  await writeFile(path, text.replaceAll(server, url), { mode: 0o600 });
  return path;
}
