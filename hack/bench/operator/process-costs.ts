import { readFile } from "node:fs/promises";

/** Linux counts in hundredths of a second. */
const TICKS_PER_SECOND = 100;

/** User and system time of a process so far, over all its threads. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** VmRSS. */
export async function residentBytes(pid: number): Promise<number> {
  return memoryLine(pid, "VmRSS");
}

/** VmHWM: the most that it ever was. */
export async function peakResidentBytes(pid: number): Promise<number> {
  return memoryLine(pid, "VmHWM");
}

async function memoryLine(pid: number, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} says no ${name}`);
  return Number(kilobytes) * 1024;
}
