/** Running other programs: every failure names the command and shows the end of what it said. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly input?: string
  /** The command is killed after this time; 10 minutes when absent. */
  readonly timeoutMs?: number
}

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const TAIL_LINES = 25

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  readonly finished: Finished

  constructor(command: readonly string[], finished: Finished) {
    const said = `${finished.stdout}\n${finished.stderr}`.trim().split('\n').slice(-TAIL_LINES).join('\n')
    super(`${command.join(' ')}\nended with ${finished.code}:\n${said}`)
    this.finished = finished
  }
}

/** Runs to the end, whatever the end is. Only a program that cannot be started throws. */
export function attempt(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [program, ...args] = command
  if (program === undefined) throw new Error('no command given')
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: options.timeoutMs ?? 600_000,
      killSignal: 'SIGKILL',
    })
    const end = (): void => void child.kill('SIGKILL') // an interrupt leaves nothing running
    process.once('exit', end)
    child.once('close', () => process.off('exit', end))
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdin.on('error', () => {}) // it ended without reading its input: its exit code tells more
    child.stdin.end(options.input ?? '')
    child.on('error', (cause) => reject(new Error(`${program} cannot be started: ${cause.message}`, { cause })))
    child.on('close', (code, signal) => {
      const note = signal === null ? '' : `\nkilled by ${signal} (time limit ${options.timeoutMs ?? 600_000} ms)`
      resolve({ code: code ?? 1, stdout: text(stdout), stderr: text(stderr) + note })
    })
  })
}

/** Runs to a good end and returns what was printed; anything else throws {@link CommandFailed}. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const finished = await attempt(command, options)
  if (finished.code !== 0) throw new CommandFailed(command, finished)
  return finished.stdout
}

/** Starts a program that stays; what it says goes to a file. */
export function daemon(
  command: readonly string[],
  logPath: string,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  const [program, ...args] = command
  if (program === undefined) throw new Error('no command given')
  const log = openSync(logPath, 'a')
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', log, log] })
  closeSync(log)
  const end = (): void => void child.kill('SIGKILL')
  process.once('exit', end)
  child.once('exit', () => process.off('exit', end))
  child.on('error', () => {}) // seen as an exit by whoever waits for it
  return child
}

export async function isInstalled(program: string): Promise<boolean> {
  const found = await attempt(['sh', '-c', 'command -v "$1"', '-', program])
  return found.code === 0
}

function text(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8')
}
