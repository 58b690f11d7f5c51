import { once } from "node:events";
import { startControlPlane } from "./control-plane.ts";

const controlPlane = await startControlPlane();
console.log(`export KUBECONFIG=${controlPlane.kubeconfigPath}
# API server ${controlPlane.url}, etcd ${controlPlane.etcdUrl}, logs in ${controlPlane.directory}
# Ctrl-C ends both and removes their data.`);
await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
await controlPlane.stop();
