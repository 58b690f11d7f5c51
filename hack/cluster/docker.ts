import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { execa } from "execa";

const execFileBytes = promisify(execFile);

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
    // Not by execa, which spends a minute on quoting a large binary output when the command fails.
    const { stdout } = await execFileBytes("docker", [...args], {
      env: { ...process.env, ...env },
      encoding: "buffer",
      maxBuffer: 2 ** 31 - 1, // an etcd store starts with 64 MiB of log
    });
    return stdout;
  }

  async function succeeds(args: readonly string[], timeoutMs: number): Promise<boolean> {
    const result = await execa("docker", args, { env, reject: false, timeout: timeoutMs });
    return !result.failed;
  }

  /** Builds the directory's Dockerfile. Without the buildx plugin only the older builder is there, and says so at length. */
  async function build(
    directory: string,
    reference: string,
    buildArguments: Readonly<Record<string, string>>,
  ): Promise<void> {
    const hasBuildx = await succeeds(["buildx", "version"], 10_000);
    const values = Object.entries(buildArguments).map(
      ([key, value]) => `--build-arg=${key}=${value}`,
    );
    await execa("docker", ["build", "--quiet", `--tag=${reference}`, ...values, directory], {
      env: { ...env, DOCKER_BUILDKIT: hasBuildx ? "1" : "0" },
    });
  }

  return {
    host,
    /** For other programs that talk to the same engine, such as kind. */
    env,
    run,
    read,
    succeeds,
    build,
    answers: () => succeeds(["version", "--format", "{{.Server.Version}}"], 10_000),
    hasImage: (reference: string) => succeeds(["image", "inspect", reference], 10_000),
  };
}
