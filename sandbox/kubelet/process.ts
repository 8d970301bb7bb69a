/**
 * One local process of a container. It leads a group of its own, so that a Ctrl-C at the terminal reaches only the
 * sandbox, which ends its processes in order; a pipe to it that closes when the sandbox dies tells our own programs to
 * stop (inside.ts); and a file named after its process ID lets the next start end what was left all the same.
 */
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { spawnSync } from 'node:child_process'

/** In the environment of every process we start: whose it is. */
export const POD_UID_VARIABLE = 'SANDBOX_POD_UID'

export interface Launch {
  readonly podUid: string
  readonly commandLine: readonly string[]
  readonly directory: string
  readonly variables: Readonly<Record<string, string>>
  readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Buffer) => void
}

export interface Exit {
  readonly exitCode: number
  readonly signal: NodeJS.Signals | undefined
}

/** What a shell answers for a command that cannot be run. */
const CANNOT_RUN = 127
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGKILL: 9, SIGTERM: 15, SIGINT: 2, SIGSEGV: 11, SIGABRT: 6 }

export class LocalProcess {
  /** Resolves when the process has ended and all it printed was taken; never rejects. */
  readonly ended: Promise<Exit>
  readonly #child: ChildProcess
  #isEnded = false

  /** `registry` is a directory of files named after running processes. */
  constructor(launch: Launch, registry: string) {
    const [command = '', ...args] = launch.commandLine
    this.#child = spawn(command, args, {
      cwd: launch.directory,
      env: { ...launch.variables, [POD_UID_VARIABLE]: launch.podUid },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    })
    const { pid, stdout, stderr, stdio } = this.#child
    // Nothing is ever sent; the process may be gone before the pipe is.
    stdio[3]?.on('error', () => undefined)
    stdout?.on('data', (chunk: Buffer) => launch.onOutput('stdout', chunk))
    stderr?.on('data', (chunk: Buffer) => launch.onOutput('stderr', chunk))
    const record = pid === undefined ? undefined : join(registry, String(pid))
    if (record !== undefined) {
      mkdirSync(registry, { recursive: true, mode: 0o700 })
      writeFileSync(record, launch.podUid, { mode: 0o600 })
    }
    this.ended = new Promise((resolve) => {
      const end = (exit: Exit): void => {
        this.#isEnded = true
        if (record !== undefined) rmSync(record, { force: true })
        stdio[3]?.destroy()
        resolve(exit)
      }
      this.#child.on('error', (error) => {
        launch.onOutput('stderr', Buffer.from(`sandbox: ${command} cannot be run: ${error.message}\n`))
        if (pid === undefined) end({ exitCode: CANNOT_RUN, signal: undefined })
      })
      // Of the group: what the process itself has started must not outlive it, nor hold its output open.
      this.#child.on('exit', () => this.#signal('SIGKILL'))
      this.#child.on('close', (code, signal) => {
        const exitCode = code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0)
        end({ exitCode, signal: signal ?? undefined })
      })
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** SIGTERM, then SIGKILL after `graceMs`; resolves when it has ended. */
  async terminate(graceMs: number): Promise<Exit> {
    this.#signal('SIGTERM')
    const isOver = await Promise.race([this.ended.then(() => true), delay(graceMs, false, { ref: false })])
    if (!isOver) this.kill()
    return this.ended
  }

  kill(): void {
    this.#signal('SIGKILL')
  }

  #signal(name: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined || this.#isEnded) return
    // A group outlives its leader as long as it has members; SIGTERM is for the leader alone, as in a container.
    signalProcess(name === 'SIGKILL' ? -pid : pid, name)
  }
}

/** False when there is no such process. */
function signalProcess(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}

/** How long a process may take to vanish after SIGKILL. */
const VANISH_MS = 5000
const LOOK_MS = 20

/**
 * Ends what an earlier sandbox has left running; answers how many there were. A process ID may belong to somebody else by
 * now: only what carries the pod's UID in its environment is touched.
 */
export async function endLeftovers(registry: string): Promise<number> {
  mkdirSync(registry, { recursive: true, mode: 0o700 })
  const left: number[] = []
  for (const name of readdirSync(registry)) {
    const pid = Number(name)
    const record = join(registry, name)
    const uid = readFileSync(record, 'utf8')
    if (Number.isSafeInteger(pid) && pid > 1 && uid !== '' && isOurs(pid, uid)) {
      left.push(pid)
      signalProcess(-pid, 'SIGKILL')
    }
    rmSync(record, { force: true })
  }
  for (let waitedMs = 0; waitedMs < VANISH_MS && left.some((pid) => signalProcess(pid, 0)); waitedMs += LOOK_MS) {
    await delay(LOOK_MS)
  }
  return left.length
}

function isOurs(pid: number, uid: string): boolean {
  const marker = `${POD_UID_VARIABLE}=${uid}`
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(marker)
    } catch {
      return false
    }
  }
  const listed = spawnSync('ps', ['eww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' })
  return listed.status === 0 && listed.stdout.includes(marker)
}
