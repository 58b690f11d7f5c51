import { execa } from "execa";

export type Docker = ReturnType<typeof createDocker>;

/** The docker command against one engine: `host` as in DOCKER_HOST, undefined for the command's own default. */
export function createDocker(host: string | undefined) {
  const env: Record<string, string> = host === undefined ? {} : { DOCKER_HOST: host };

  /** Runs a docker command and gives its output. */
  async function run(args: readonly string[]): Promise<string> {
    const { stdout } = await execa("docker", args, { env });
    return stdout;
  }

  /** The same, with output as bytes: an archive, for example. */
  async function read(args: readonly string[]): Promise<Uint8Array> {
    const limits = { maxBuffer: 2 ** 31 - 1 }; // an etcd store starts with 64 MiB of log
    const { stdout } = await execa("docker", args, { env, encoding: "buffer", ...limits });
    return stdout;
  }

  async function succeeds(args: readonly string[], timeoutMs: number): Promise<boolean> {
    const result = await execa("docker", args, { env, reject: false, timeout: timeoutMs });
    return !result.failed;
  }

  return {
    host,
    /** For other programs that talk to the same engine, such as kind. */
    env,
    run,
    read,
    succeeds,
    answers: () => succeeds(["version", "--format", "{{.Server.Version}}"], 10_000),
    hasImage: (reference: string) => succeeds(["image", "inspect", reference], 10_000),
  };
}
