/** The NodePorts that are reachable on the host's loopback. Charts and manifests name the same numbers. */
export const nodePorts = { api: 30080, vault: 30082, simulator: 30090 } as const;
type PortName = keyof typeof nodePorts;

interface KindConfig {
  /** Undefined: the image that kind itself would choose. */
  readonly image: string;
  /** A node image made here has a plain bridge network inside, for kindnet's image cannot be had. */
  readonly bringsNetwork: boolean;
  readonly hostPorts: Readonly<Record<PortName, number>>;
  readonly cgroupVersion: string;
  /** The engine's containers run without CAP_SYS_RESOURCE. */
  readonly isConfined: boolean;
}

/** The configuration for `kind create cluster`: one node, everything published on loopback only. */
export function kindConfig(options: KindConfig) {
  const portNames = Object.keys(nodePorts).filter(isPortName);
  const extraPortMappings = portNames.map((name) => ({
    containerPort: nodePorts[name],
    hostPort: options.hostPorts[name],
    listenAddress: "127.0.0.1",
    protocol: "TCP",
  }));
  return {
    kind: "Cluster",
    apiVersion: "kind.x-k8s.io/v1alpha4",
    networking: {
      apiServerAddress: "127.0.0.1",
      podSubnet: "10.244.0.0/16",
      disableDefaultCNI: options.bringsNetwork,
    },
    nodes: [{ role: "control-plane", image: options.image, extraPortMappings }],
    kubeadmConfigPatches: [JSON.stringify(kubeletConfiguration(options))],
  };
}

function kubeletConfiguration({ cgroupVersion, isConfined }: KindConfig) {
  return {
    kind: "KubeletConfiguration",
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    // Kubernetes 1.35 and later refuse cgroup v1 unless told otherwise.
    ...(cgroupVersion === "1" ? { failCgroupV1: false } : {}),
    // kubelet then goes on where it may not write sysctls or out-of-memory scores.
    ...(isConfined ? { featureGates: { KubeletInUserNamespace: true } } : {}),
  };
}

function isPortName(name: string): name is PortName {
  return Object.hasOwn(nodePorts, name);
}
