/** The real operator program as a process, and what it uses, by Linux' own count. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'

const ROOT = join(import.meta.dirname, '..', '..')
const CHART = join(ROOT, 'charts', 'raftkv-operator', 'values.yaml')
const ChartValues = z.object({ nodeFlags: z.array(z.string()) })
/** Of /proc/PID/stat: always 100 on Linux. */
const TICKS_PER_SECOND = 100

export interface Usage {
  /** User and system time since the start. */
  readonly cpuSeconds: number
  readonly rssBytes: number
  readonly peakRssBytes: number
}

export class OperatorProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #tail = ''

  /** As in the image, with flags as in the chart. `directory` has the file kubeconfig, and room for a cache. */
  constructor(directory: string, nodeFlags: readonly string[], flags: readonly string[]) {
    const main = join(ROOT, 'operator', 'main.ts')
    const env = { PATH: process.env['PATH'], KUBECONFIG: join(directory, 'kubeconfig'), NODE_COMPILE_CACHE: join(directory, 'compiled') } // prettier-ignore
    // The image has its sources compiled; this does it here.
    execFileSync(process.execPath, [main, '--version'], { env })
    const chart = ChartValues.parse(parseYaml(readFileSync(CHART, 'utf8')))
    const common = ['--no-leader-elect', '--metrics-address=0', '--health-address=0', '--log-level=info']
    this.#child = spawn(process.execPath, [...chart.nodeFlags, ...nodeFlags, main, ...common, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    })
    this.#ended = once(this.#child, 'exit')
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#tail = (this.#tail + chunk.toString()).slice(-4000)))
    }
  }

  /** The last lines of its log. */
  get tail(): string {
    return this.#tail
  }

  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined || this.#child.exitCode !== null) throw new Error(`the operator does not run:\n${this.#tail}`)
    return pid
  }

  usage(): Usage {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8')
    const kib = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
    // The second field, a name in brackets, may hold spaces.
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const cpuSeconds = (Number(stat[11]) + Number(stat[12])) / TICKS_PER_SECOND
    return { cpuSeconds, rssBytes: kib('VmRSS'), peakRssBytes: kib('VmHWM') }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#ended
  }
}
